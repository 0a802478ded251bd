"""Who steps cancellations, and how they get there."""
