"""``payme doctor``: check everything that a till needs to sell with Payme.

It moves no money, and it creates and changes nothing.

checkup        all checks in their order; none raises, each has a time limit
finding        one result of a check: a level, a text, and what to do
installation   packages, entry point, packaged files, slips
files          settings, permissions, disk
journal        the journal, the processes that use it, pending cancellations, merchant accounts
server         the steps to Payme: name, connection, TLS, clock, key
broker         a chain's RabbitMQ and its queues

A ``check_...`` judges. Where a test can't bring about what is judged, a ``look_at_...`` gathers the facts before it.
"""

from __future__ import annotations

from payme_plugin.doctor.checkup import examine
from payme_plugin.doctor.finding import Check, Finding, Level, Report, Unchecked

__all__ = ["Check", "Finding", "Level", "Report", "Unchecked", "examine"]
