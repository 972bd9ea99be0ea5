"""The operations of the ECR API by family, one function each; importing this package enters all of them."""

from moorage.ecr.dispatch import OPERATIONS
from moorage.ecr.operations import authorization, images, layers, policies, registry, repositories, tagging

__all__ = ["OPERATIONS", "authorization", "images", "layers", "policies", "registry", "repositories", "tagging"]
