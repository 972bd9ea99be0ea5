"""What identities are called: names, paths, unique ids and ARNs, by IAM's grammar.

Each is a ``str`` subtype that can only be made through ``parse``, so that inner code never checks again. Lengths are
checked before patterns, which keeps hostile input linear.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from moorage.domain.errors import InvalidRequest, RegistryIdInvalid
from moorage.domain.names import RegistryId

#: Kinds of principal that people make; the third is the root that every account has.
PrincipalKind = Literal["user", "role"]

#: Seconds that a session of a role lasts at least, at most, and where nobody says how long.
SHORTEST_SESSION: Final = 900
LONGEST_SESSION: Final = 43_200
DEFAULT_SESSION: Final = 3_600

_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_PATH: Final = re.compile(r"/|/[!-~]+/")
_ISSUER: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*/?")

_ONLY: Final = "It must contain only alphanumeric characters and/or the following: +=,.@_-"
_AWS: Final = "aws"


def _check_name(text: str, what: str, longest: int) -> None:
    if not 1 <= len(text) <= longest:
        raise InvalidRequest(text=f"The {what} must have 1 to {longest} characters, not {len(text)}")
    if not _NAME.fullmatch(text):
        raise InvalidRequest(text=f"The specified value for {what} is invalid. {_ONLY}")


class PrincipalName(str):
    """The name of a user or role within its account, 1 to 64 characters."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, what: str = "name") -> "PrincipalName":
        """``what`` is what a refusal calls it. Raises ``InvalidRequest``."""
        _check_name(text, what, 64)
        return cls(text)


class PolicyName(str):
    """The name of a managed policy within its account, or of an inline one within its principal."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "PolicyName":
        """Raises ``InvalidRequest``."""
        _check_name(text, "policyName", 128)
        return cls(text)


class Path(str):
    """Where in its account's tree a principal or policy is: ``/``, or text between two slashes."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Path":
        """Raises ``InvalidRequest``."""
        if len(text) > 512 or not _PATH.fullmatch(text):
            raise InvalidRequest(
                text="The specified value for path is invalid. It must begin and end with / and contain only "
                "printable ASCII characters, at most 512."
            )
        return cls(text)


class Issuer(str):
    """The URL of an OIDC issuer without its scheme, which is https: so AWS names it."""

    __slots__ = ()

    @classmethod
    def parse(cls, url: str) -> "Issuer":
        """``url`` is the ``iss`` of its tokens. Raises ``InvalidRequest``."""
        if len(url) > 255 or not url.startswith("https://"):
            raise InvalidRequest(text="An issuer is a URL that begins with https://, of at most 255 characters")
        issuer = url.removeprefix("https://")
        if not _ISSUER.fullmatch(issuer):
            raise InvalidRequest(
                text="An issuer's URL has a host, perhaps a path, and neither query nor fragment"
            )
        return cls(issuer)


@dataclass(frozen=True, slots=True)
class PolicyArn:
    """``arn:aws:iam::<account>:policy<path><name>``; the account is None of those that AWS manages."""

    account_id: RegistryId | None
    path: Path
    name: PolicyName

    @classmethod
    def parse(cls, text: str) -> "PolicyArn":
        """Raises ``InvalidRequest`` for anything but the ARN of a managed policy."""
        refusal = InvalidRequest(text=f"ARN {text[:300]} is not that of a managed policy")
        parts = text[:1024].split(":", 5)
        if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""] or not parts[5].startswith("policy/"):
            raise refusal
        path, slash, name = parts[5].removeprefix("policy").rpartition("/")
        try:
            account = None if parts[4] == _AWS else RegistryId.parse(parts[4])
            return cls(account, Path.parse(path + slash), PolicyName.parse(name))
        except (InvalidRequest, RegistryIdInvalid) as error:
            raise refusal from error

    def __str__(self) -> str:
        return f"arn:aws:iam::{self.account_id or _AWS}:policy{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class RoleArn:
    """``arn:aws:iam::<account>:role<path><name>``."""

    account_id: RegistryId
    path: Path
    name: PrincipalName

    @classmethod
    def parse(cls, text: str) -> "RoleArn":
        """Raises ``InvalidRequest`` for anything but the ARN of a role."""
        refusal = InvalidRequest(text=f"{text[:300]} is invalid: it is not the ARN of a role")
        parts = text[:2048].split(":", 5)
        if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""] or not parts[5].startswith("role/"):
            raise refusal
        path, slash, name = parts[5].removeprefix("role").rpartition("/")
        try:
            return cls(RegistryId.parse(parts[4]), Path.parse(path + slash), PrincipalName.parse(name))
        except (InvalidRequest, RegistryIdInvalid) as error:
            raise refusal from error

    def __str__(self) -> str:
        return principal_arn(self.account_id, "role", self.path, self.name)

    def session_arn(self, session_name: str) -> str:
        """What a session of the role is called; the path is no part of it."""
        return f"arn:aws:sts::{self.account_id}:assumed-role/{self.name}/{session_name}"


def principal_arn(account_id: str, kind: str, path: str, name: str) -> str:
    """The ARN of a principal: a root, user or role."""
    return root_arn(account_id) if kind == "root" else f"arn:aws:iam::{account_id}:{kind}{path}{name}"


def root_arn(account_id: str) -> str:
    """The ARN of an account's root principal."""
    return f"arn:aws:iam::{account_id}:root"


def provider_arn(account_id: str, issuer: str) -> str:
    """The ARN of an account's OIDC identity provider."""
    return f"arn:aws:iam::{account_id}:oidc-provider/{issuer}"
