"""Pure types: names, digests, manifests, errors. No input or output, no clock."""
