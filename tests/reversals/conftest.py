from fakes.fixtures import new_till, reversal, running, sandbox, till

__all__ = ["new_till", "reversal", "running", "sandbox", "till"]
