"""Proves who is asking; knows nothing of permissions."""
