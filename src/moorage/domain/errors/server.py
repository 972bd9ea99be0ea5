"""The server cannot, or not now."""

from moorage.domain.errors.base import RegistryError


class Unavailable(RegistryError):
    """The server cannot serve this now; trying again later is right."""

    fields = ("what",)


class TooManyRequests(RegistryError):
    """The server has as much to do as it takes on; nothing was begun, and trying again in a moment is right."""
