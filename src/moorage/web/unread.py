"""Requests that are too many, or come too late in a turn of the loop: told so in the words of their face, unread.

Under overload most requests are turned away, and what that costs is taken from those that are served. To parse one,
log it and record it costs several times what the answer does. So what is too much on a connection that is kept waits
for a second look (``second_look``). If it is too much then, too, and of the plain kind, whole and with nothing behind
it, it is looked at only as far as it takes to tell its face: no parser, no authentication, no record but a count.
Whatever is not plain goes the ordinary way, which turns it away as well. (What waits to be accepted is turned away by
``accepting``.)
"""

import re
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from moorage.domain.errors import TooManyRequests
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Route, read_facts, request_ids
from moorage.web.http import Request
from moorage.web.second_look import SecondLook

#: A path that decodes to itself. An answer to HEAD has no body: it goes the ordinary way.
_LINE: Final = re.compile(rb"(GET|PUT|POST|PATCH|DELETE) (/[!$&-~]*) HTTP/1\.1")

#: A request line of which the route can be told.
_BEGINNING: Final = re.compile(rb"[A-Z]+ (/[!$&-~]*) HTTP/1\.[01]\r\n")

#: Bytes of a header that may be plain.
MOST_BYTES: Final = 8 * 1024

#: A header in small letters that everybody takes apart in the same way, a proxy before us, too: no folded lines, no
#: control characters, a name and a colon in each line.
_FIELDS: Final = re.compile(rb"(?:\r\n[!#$%&'*+.^_`|~0-9a-z-]+:[\t -~\x80-\xff]*)*\r\n")

#: What makes its framing, or what becomes of its connection, worth a parser.
_UNPLAIN: Final = (b"\ntransfer-encoding", b"\nconnection", b"\nexpect", b"\nupgrade")
_LENGTH: Final = re.compile(rb"\ncontent-length: ?([0-9]{1,9})\r\n")
_TARGET: Final = b"\nx-amz-target: "


class Unread:
    """Tells what is too much, has it wait for its second look, and turns it away unread.

    ``route`` says who answers a path; ``on_turned_away`` is told of each by what there was too much of, as
    ``Exchange.turned_away`` names it.
    """

    def __init__(
        self,
        load: Load,
        turn: Turn,
        route: Callable[[str], Route],
        fallback: Route,
        on_turned_away: Callable[[str], None],
        second_look: SecondLook | None = None,
    ) -> None:
        self._load = load
        self._turn = turn
        self._route = route
        self._fallback = fallback
        self._on_turned_away = on_turned_away
        #: By the path of a route.
        self._answers: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._ids = request_ids()
        self.second_look = second_look or SecondLook()

    def is_due(self) -> bool:
        """Whether a request that is reached now is too much."""
        return self._load.running >= self._load.most or self._turn.is_late()

    def may_wait(self, data: bytes) -> bool:
        """Whether what came on a connection at rest may wait for its second look: health is answered at once."""
        matched = _BEGINNING.match(data)
        if matched is None or not self.second_look.has_room(len(data)):
            return False
        return not self._route_of(matched[1]).is_vital

    def note_turned_away(self) -> None:
        """Tell that one was turned away, and what there is too much of."""
        self._on_turned_away("requests" if self._load.running >= self._load.most else "waiting")

    def answer(self, data: bytes, default_head: bytes) -> bytes | None:
        """The whole answer to what came on a connection at rest; None for the ordinary way."""
        head, end, body = data.partition(b"\r\n\r\n")
        line, _, _ = head.partition(b"\r\n")
        matched = _LINE.fullmatch(line)
        if matched is None or not end or len(head) > MOST_BYTES:
            return None
        route = self._route_of(matched[2])
        lines = head[len(line) :].lower() + b"\r\n"
        if route.is_vital or not _is_plain(lines, len(body)):
            return None
        if route is self._fallback and (matched[2] != b"/" or _TARGET not in lines):
            return None  # Its words differ from path to path, and from API to API.
        status_line, before, after = self._answers.get(route.path) or self._compose(route, lines)
        return b"%b%b%b%b%b" % (status_line, default_head, before, next(self._ids), after)

    def _route_of(self, target: bytes) -> Route:
        return self._route(target.partition(b"?")[0].decode("ascii"))

    def _compose(self, route: Route, lines: bytes) -> tuple[bytes, bytes, bytes]:
        """What the route says to a request with this header: the status line, and what stands around its id."""
        scope = {
            "type": "http",
            "scheme": "http",
            "method": "POST",
            "path": route.path,
            "raw_path": route.path.encode(),
            "query_string": b"",
            "headers": [line.split(b": ", 1) for line in lines.strip().split(b"\r\n") if b": " in line],
        }
        facts = read_facts(scope, route.face)
        response = route.refuse(Request(scope, _receive_nothing, facts), TooManyRequests())
        if not isinstance(response.body, bytes):
            raise TypeError("a refusal is sent whole")
        fields = b"".join(b"%b: %b\r\n" % header for header in response.headers)
        before, after = (fields + b"\r\n" + response.body).split(facts.request_id.encode())
        made = self._answers[route.path] = STATUS_LINE[response.status], before, after
        return made


def _is_plain(lines: bytes, body_bytes: int) -> bool:
    """Whether a header, in small letters, leaves no doubt about its end, and that is where the body ends, too."""
    if _FIELDS.fullmatch(lines) is None or any(name in lines for name in _UNPLAIN):
        return False
    if lines.count(b"\nhost:") != 1:
        return False
    announced = lines.count(b"\ncontent-length")
    length = _LENGTH.search(lines)
    if length is None:
        return announced == 0 and body_bytes == 0
    return announced == 1 and int(length[1]) == body_bytes


async def _receive_nothing() -> Any:
    return {"type": "http.disconnect"}
