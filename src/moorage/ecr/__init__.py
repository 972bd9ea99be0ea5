"""The ECR JSON API."""
