"""What survives a power cut: the journal of payments. It only stores."""
