"""The PaymeGO protocol: requests, answers, error codes and receipt states. It knows nothing of tills."""
