"""Moorage: a self-hosted container registry that is Amazon ECR to its clients."""

__version__ = "0.1.0"
