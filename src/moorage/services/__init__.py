"""Use cases: authorize, change, record. Plain functions over one open transaction."""
