"""Tools for those who test a host or a client."""
