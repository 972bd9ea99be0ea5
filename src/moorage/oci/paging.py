"""Lists in pages: what ``n`` and ``last`` ask for, and the ``Link`` to the next page."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

from moorage.domain.errors import PageSizeInvalid
from moorage.web.http import Request, find_parameter

#: ECR: a page has 100 entries when nobody says otherwise, and never more than 1,000.
DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1_000


class Page(NamedTuple):
    """The entries after ``after``, at most ``size`` of them."""

    after: str
    size: int


def read_page(request: Request) -> Page:
    """The page that a request asks for; more than is given out at once is cut, not refused.

    Raises ``PageSizeInvalid``, ``MalformedQuery``.
    """
    parameters = request.query()
    # PostgreSQL takes no NUL in a text. No name has one, so what comes after it changes nothing in the order.
    last, _, _ = (find_parameter(parameters, "last") or "").partition("\0")
    return Page(last, _size(find_parameter(parameters, "n")))


def _size(value: str | None) -> int:
    if value is None:
        return DEFAULT_SIZE
    if not (value.isascii() and value.isdigit()):
        raise PageSizeInvalid(value=value[:64])
    return min(int(value), MAX_SIZE) if len(value) < 20 else MAX_SIZE


def next_link(path: str, parameters: Sequence[tuple[str, str]]) -> tuple[bytes, bytes]:
    """The header that leads to the next page, relative to whatever name the client knows us by (RFC 8288)."""
    return b"link", f'<{path}?{urlencode(parameters)}>; rel="next"'.encode()
