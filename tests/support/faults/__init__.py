"""Faults that tests inject: a proxy on the wire, killed processes, full disks, hostile input."""
