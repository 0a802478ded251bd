"""Delivery of cancellations and fiscal receipts: the worker, its steps, the host's queue."""
