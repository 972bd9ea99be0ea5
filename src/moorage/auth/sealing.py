"""Sealing: what leaves the server, or lies on its disk, so that only the server can read or make it.

``MasterKey`` seals secrets at rest. ``Keyring`` holds the versioned keys that tokens are sealed with; they are
themselves secrets at rest. Everything is AES-256-GCM with random 96-bit nonces: rotate a key well before it has
sealed 2**32 texts. Whatever is wrong with a sealed text, the refusal is the same ``SealBroken``.
"""

import binascii
import hmac
import os
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.auth.private_files import PrivateFileError, create_private_file, read_private_file

KEY_BYTES: Final = 32

#: What a token is for. A token of one purpose cannot be read as one of another.
Purpose = Literal["registry-token", "session-token", "page-token", "download-url"]

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VERSION_BYTES: Final = 4
_MAX_TEXT: Final = 16_384


class SealBroken(Exception):
    """The sealed text was not made here for this use, or was changed."""


class MasterKey:
    """Seals secrets that are kept: secret access keys, server keys.

    ``associated`` binds a sealed secret to its place (say, the row's key), so that it is worth nothing elsewhere.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"A master key has {KEY_BYTES} bytes, not {len(key)}.")
        self._cipher = AESGCM(key)

    @classmethod
    def from_base64(cls, text: str) -> "MasterKey":
        """Read the key from a setting. Raises ``ValueError`` with a sentence that does not hold the key."""
        try:
            key = b64decode(text.strip(), validate=True)
        except ValueError:
            raise ValueError("The master key must be base64 of 32 bytes: `openssl rand -base64 32`.") from None
        return cls(key)

    @classmethod
    def load_or_create(cls, path: Path) -> "MasterKey":
        """The key in the file, which is created with mode 0600 when it does not exist.

        Any number of processes may call this at once; all get the same key. Raises ``PrivateFileError`` when
        others may read the file or it holds no key, ``OSError``.
        """
        if not path.exists():
            create_private_file(path, b64encode(os.urandom(KEY_BYTES)) + b"\n")
        content = read_private_file(path)
        try:
            return cls.from_base64(content.decode("ascii"))
        except ValueError:
            raise PrivateFileError(
                f"{path} holds no master key (base64 of {KEY_BYTES} bytes); restore it from a backup. "
                "Without the key that sealed them, secrets cannot be read again."
            ) from None

    def seal(self, secret: bytes, associated: bytes) -> bytes:
        """Format byte, nonce, ciphertext with tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, secret, _FORMAT + associated)

    def unseal(self, sealed: bytes, associated: bytes) -> bytes:
        """The secret. Raises ``SealBroken``."""
        if len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _FORMAT:
            raise SealBroken
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _FORMAT + associated)
        except InvalidTag:
            raise SealBroken from None


class Keyring:
    """The server's token keys by version. Immutable: after a rotation, make another one.

    Each purpose has a key of its own, derived from the versioned one. To rotate with several processes, give all
    of them the new version first, then make it current; drop the old one when the last token it sealed is over.
    """

    __slots__ = ("_ciphers", "_current", "versions")

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        if current not in keys:
            raise ValueError(f"There is no key of version {current}.")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError(f"Server keys have {KEY_BYTES} bytes.")
        self.versions = tuple(sorted(keys))
        self._current = current.to_bytes(_VERSION_BYTES)
        self._ciphers = MappingProxyType(
            {
                (purpose, version.to_bytes(_VERSION_BYTES)): AESGCM(_derive(key, purpose))
                for purpose in get_args(Purpose)
                for version, key in keys.items()
            }
        )

    def seal(self, purpose: Purpose, payload: bytes, associated: bytes = b"") -> str:
        """A URL-safe text without padding: format byte, key version, nonce, ciphertext with tag."""
        header = _FORMAT + self._current
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._ciphers[purpose, self._current].encrypt(nonce, payload, header + associated)
        return urlsafe_b64encode(header + nonce + ciphertext).rstrip(b"=").decode("ascii")

    def unseal(self, purpose: Purpose, text: str, associated: bytes = b"") -> bytes:
        """The payload. Raises ``SealBroken``."""
        sealed = _decode(text)
        header, rest = sealed[: 1 + _VERSION_BYTES], sealed[1 + _VERSION_BYTES :]
        cipher = self._ciphers.get((purpose, header[1:]))
        if cipher is None or header[:1] != _FORMAT or len(rest) < _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + associated)
        except InvalidTag:
            raise SealBroken from None


def _derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose (HMAC as a one-block KDF: the input is uniformly random)."""
    return hmac.digest(key, b"moorage token key v1: " + purpose.encode("ascii"), "sha256")


def _decode(text: str) -> bytes:
    """Strict base64url without padding: a text has exactly one spelling, so no token has two."""
    if len(text) > _MAX_TEXT:
        raise SealBroken
    try:
        raw = text.encode("ascii")
        decoded = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error):
        raise SealBroken from None
    if urlsafe_b64encode(decoded).rstrip(b"=") != raw:
        raise SealBroken
    return decoded
