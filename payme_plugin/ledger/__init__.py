"""The journal of payments: it survives a power cut, and it only stores.

docs/architecture.md says which module does what.
"""
