"""The keys of OIDC issuers, fetched from them and kept for a while.

Whoever calls this has made sure that the issuer is one that an operator configured: nobody else is contacted. The
key set must lie with the issuer itself, so that an issuer cannot send the server elsewhere. However many tokens come,
true or made up, an issuer is asked at most once a minute.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog

from moorage.domain.errors import IssuerUnreachable
from moorage.upstream.https import AddressNotPublic, FetchFailed, fetch

#: Seconds that keys are used before they are fetched again; and that old ones serve on while their issuer is away.
FRESH_SECONDS: Final = 3_600.0
STALE_SECONDS: Final = 24 * 3_600.0
#: Seconds between two times that an issuer is asked, for whatever reason.
PAUSE_SECONDS: Final = 60.0
#: Issuers whose keys are kept.
MOST_ISSUERS: Final = 256

_log = structlog.get_logger()

Key = dict[str, Any]
Fetch = Callable[[str, bool], Awaitable[bytes]]


class _Discovery(msgspec.Struct):
    """What is needed of OpenID Connect Discovery's document."""

    issuer: str
    jwks_uri: str


@dataclass(slots=True)
class _Entry:
    """What is known of one issuer. Times are seconds of a clock that never goes back."""

    keys: list[Key] = field(default_factory=list)
    fetched_at: float | None = None
    asked_at: float | None = None
    failure: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def age(self, now: float) -> float:
        """Seconds since the keys were fetched."""
        return float("inf") if self.fetched_at is None else now - self.fetched_at


async def fetch_publicly(url: str, may_be_private: bool) -> bytes:
    """``upstream.https.fetch`` with the system's trust."""
    return await fetch(url, may_be_private=may_be_private)


class IssuerKeys:
    """``private_origins`` are those of issuers that may have addresses which are not public; without TLS if http."""

    def __init__(
        self,
        private_origins: Collection[str],
        fetch_document: Fetch = fetch_publicly,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._private_origins = frozenset(private_origins)
        self._fetch = fetch_document
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def takes(self, issuer: str) -> bool:
        """Whether an issuer of this URL may be asked: over TLS, or where the settings do without."""
        return issuer.startswith("https://") or origin(issuer) in self._private_origins

    async def find(
        self, issuer: str, choose: Callable[[list[Key]], Key | None], parse: Callable[[bytes], list[Key]]
    ) -> Key | None:
        """The key that ``choose`` finds among the issuer's, which ``parse`` reads from the document.

        Keys that are old, or among which there is none, are fetched again. Raises ``IssuerUnreachable``.
        """
        entry = self._entry(issuer)
        async with entry.lock:
            found = choose(entry.keys)
            age = entry.age(self._clock())
            if found is not None and age < FRESH_SECONDS:
                return found
            if entry.asked_at is None or self._clock() - entry.asked_at >= PAUSE_SECONDS:
                await self._refresh(entry, issuer, parse)
            if entry.age(self._clock()) >= STALE_SECONDS:
                raise IssuerUnreachable(text=entry.failure)
            return choose(entry.keys)

    def _entry(self, issuer: str) -> _Entry:
        entry = self._entries.setdefault(issuer, _Entry())
        self._entries.move_to_end(issuer)
        if len(self._entries) > MOST_ISSUERS:
            self._entries.popitem(last=False)
        return entry

    async def _refresh(self, entry: _Entry, issuer: str, parse: Callable[[bytes], list[Key]]) -> None:
        entry.asked_at = self._clock()
        try:
            entry.keys = parse(await self._fetch_keys(issuer))
            entry.fetched_at = self._clock()
        except (FetchFailed, ValueError) as error:
            entry.failure = f"Error communicating with the identity provider {issuer}: {error}"[:400]
            # The client is told what failed; what would help is the business of whoever runs the server.
            helps = {"setting": "oidc_private_origins"} if isinstance(error, AddressNotPublic) else {}
            _log.warning("issuer_unreachable", issuer=issuer, error=str(error)[:400], **helps)

    async def _fetch_keys(self, issuer: str) -> bytes:
        """The document of the key set. Raises ``FetchFailed``."""
        is_private = origin(issuer) in self._private_origins
        document = await self._fetch(f"{issuer.removesuffix('/')}/.well-known/openid-configuration", is_private)
        try:
            discovery = msgspec.json.decode(document, type=_Discovery)
        except msgspec.MsgspecError:
            raise FetchFailed("its discovery document cannot be read") from None
        if discovery.issuer != issuer:
            raise FetchFailed("its discovery document is that of another issuer")
        if origin(discovery.jwks_uri) != origin(issuer):
            raise FetchFailed("its key set lies elsewhere")
        return await self._fetch(discovery.jwks_uri, is_private)


def origin(url: str) -> str:
    """Scheme, host and port of a URL as they are written; empty where the URL hides them behind a user name."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return "" if "@" in parts.netloc else f"{parts.scheme}://{parts.netloc}".lower()
