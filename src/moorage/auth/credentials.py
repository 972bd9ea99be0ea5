"""Access keys: made here, or checked when an operator brings their own."""

import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Final

_BASE32: Final = string.ascii_uppercase + "234567"
# AWS also uses "+" and "/", which people then fail to quote; 40 letters and digits are 238 bits.
_SECRET_ALPHABET: Final = string.ascii_letters + string.digits

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]{4,128}")
_SECRET: Final = re.compile(r"[!-~]{16,128}")
_PROFILE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a client signs with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def generate_access_key() -> AccessKey:
    """A new key in AWS's form: ``AKIA`` and 16 base32 characters, and a secret of 40 characters."""
    return AccessKey(f"AKIA{_pick(_BASE32, 16)}", _pick(_SECRET_ALPHABET, 40))


def generate_session_key() -> AccessKey:
    """A key of temporary credentials, told by its ``ASIA``."""
    return AccessKey(f"ASIA{_pick(_BASE32, 16)}", _pick(_SECRET_ALPHABET, 40))


def check_access_key(access_key_id: str, secret_access_key: str) -> AccessKey:
    """Take a key that an operator chose. Raises ``ValueError`` with a sentence that does not hold the secret."""
    if not _KEY_ID.fullmatch(access_key_id):
        raise ValueError("An access key id has 4 to 128 letters, digits and underscores.")
    if not _SECRET.fullmatch(secret_access_key):
        raise ValueError("A secret access key has 16 to 128 printable ASCII characters without spaces.")
    return AccessKey(access_key_id, secret_access_key)


def render_credentials_file(key: AccessKey, profile: str = "default") -> str:
    """The key in the format of ``~/.aws/credentials``. Raises ``ValueError`` for a profile of another form."""
    if not _PROFILE.fullmatch(profile):
        raise ValueError("A profile's name has letters, digits, dots, dashes and underscores.")
    return (
        f"[{profile}]\n"
        f"aws_access_key_id = {key.access_key_id}\n"
        f"aws_secret_access_key = {key.secret_access_key}\n"
    )


def _pick(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
