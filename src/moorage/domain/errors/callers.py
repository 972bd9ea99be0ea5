"""Who is asking, and whether they may."""

from moorage.domain.errors.base import RegistryError


class AuthenticationError(RegistryError):
    """It is not established who is asking."""


class CredentialsMissing(AuthenticationError):
    """The request carries no credentials."""


class CredentialsUnknown(AuthenticationError):
    """The access key or token does not exist, is inactive or cannot be read."""


class CredentialsExpired(AuthenticationError):
    """The token is genuine but its time is over."""


class AccountSwitchedOff(AuthenticationError):
    """The account of these credentials is switched off."""


class SignatureMismatch(AuthenticationError):
    """The signature is not the one that the secret key makes over this request."""


class SignatureExpired(AuthenticationError):
    """The request was signed too long ago, too far ahead, or its presigned time is over.

    ``text`` is the sentence for the client, with both times in it.
    """

    fields = ("text",)


class PresignedRequestExpired(SignatureExpired):
    """A presigned request is used after the time it was signed for."""


class SignatureIncomplete(AuthenticationError):
    """The credentials lack a part or have one of the wrong form; ``text`` says which."""

    fields = ("text",)


class WebIdentityInvalid(AuthenticationError):
    """The token of a web identity is not one of an issuer that the account trusts; ``text`` says why."""

    fields = ("text",)


class WebIdentityExpired(AuthenticationError):
    """The token of a web identity is genuine but its time is over; both are seconds since the epoch."""

    fields = ("now", "expires_at")


class WebIdentityRejected(AuthenticationError):
    """The token of a web identity is genuine but is not good now; ``text`` says why."""

    fields = ("text",)


class IssuerUnreachable(AuthenticationError):
    """The issuer of a web identity does not tell its keys; ``text`` says why."""

    fields = ("text",)


class AccessDenied(RegistryError):
    """The principal may not do this."""

    fields = ("principal", "action", "resource", "reason")
