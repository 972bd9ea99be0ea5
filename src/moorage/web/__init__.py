"""HTTP plumbing that both faces share."""
