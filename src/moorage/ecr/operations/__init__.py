"""The operations of the ECR JSON API, one module a family, one function an operation."""
