"""Pure rules: policy, lifecycle, mutability, filters. No input or output, no clock."""
