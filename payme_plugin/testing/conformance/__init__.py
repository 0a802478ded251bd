"""The conformance kit: it plays the duties of ``docs/host.md`` with a host that runs as a process of its own.

protocol   the documents between the kit and a host's adapter
probe      stands in for the plugin in the host's process, and lets the kit decide at each hook
process    a host as a process: starts, answers in bounded time, is killed
duties     what a host owes, and what a failure says
watch      what the host did so far, and which duty that breaks
decider    decides at each hook: lets it pass, kills the host, lets the hook fail, answers in its place
stage      one sandbox, one folder, one host after the other, with the cashier's commands
plays      what is played for each duty
report     the result as text and as a document
kit        ``HostConformance``
"""
