"""The simulator: whole histories of a till on virtual time, and the guarantees checked on each."""
