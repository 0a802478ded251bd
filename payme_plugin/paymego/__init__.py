"""The processing's protocol: requests, answers, codes and states. It knows nothing of tills."""
