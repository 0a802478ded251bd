"""Fakes that tests share: a virtual clock, PaymeGO on it, a host, and a till over the real sandbox."""
