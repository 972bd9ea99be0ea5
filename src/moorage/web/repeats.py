"""A connection that looks at a request before it parses it: for what is ready, and for what comes too late."""

from typing import Final, cast

import structlog

from moorage.web.cycle import Cycle
from moorage.web.lending import LendingProtocol
from moorage.web.protocol import Part
from moorage.web.shortcut import Known, Shortcut
from moorage.web.unread import Unread

_logger = structlog.get_logger()

#: Bytes of a request that is held; a larger one is turned away at once, for the memory's sake.
HELD_BYTES: Final = 16 * 1024

#: A name of its own: to look a member of an enumeration up costs as much as a call.
_IDLE = Part.IDLE


class RepeatingProtocol(LendingProtocol):
    """A connection that remembers the header it read last.

    A subclass may carry a ``shortcut``, for what is ready, and an ``unread``, for what is too much.
    """

    shortcut: Shortcut | None = None
    unread: Unread | None = None
    _known: Known | None = None
    #: A request that is too much, and the answer that says so: it waits for its second look.
    _held: tuple[bytes, bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """Answer at once what is ready; hold what is too much; have the rest parsed."""
        if self._held is not None:
            self.look_again()
        if not self._is_at_rest():
            super().data_received(data)
            return
        shortcut, unread = self.shortcut, self.unread
        if (
            shortcut is not None
            and self._known is not None
            and self._take_shortcut(shortcut, self._known, data)
        ):
            return
        if unread is not None and unread.is_due() and self._hold(unread, data):
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        shortcut, before = self.shortcut, self.cycle
        super().data_received(data)
        if (
            shortcut is not None
            and self.cycle is not before
            and data.endswith(b"\r\n\r\n")
            and self._is_plain(self.cycle, data)
        ):
            self._learn(shortcut, data)

    def _learn(self, shortcut: Shortcut, data: bytes) -> None:
        try:
            self._known = shortcut.learn(data, self.cycle.scope)
        except Exception:  # the request itself is answered already, or will be
            _logger.exception("shortcut_failed")
            self._known = None

    def _is_at_rest(self) -> bool:
        """Whether nothing is under way: the next byte begins a request, which is answered at once."""
        cycle = cast("Cycle | None", self.cycle)
        return (
            self._part is _IDLE
            and (cycle is None or cycle.response_complete)
            and not (self.is_ending or self._is_deaf or self._pipeline or self.flow.write_paused)
        )

    def _take_shortcut(self, shortcut: Shortcut, known: Known, data: bytes) -> bool:
        try:
            answer = shortcut.answer(known, data, self.default_head())
        except Exception:  # the ordinary way is there, and answers faults as it should
            _logger.exception("shortcut_failed")
            self._known = None
            return False
        return self._reply(answer)

    def _hold(self, unread: Unread, data: bytes) -> bool:
        if "extensions" in self._scope:
            return False  # One of a crowd: it has to go.
        try:
            answer = unread.answer(data, self.default_head())
        except Exception:  # the ordinary way turns it away as well
            _logger.exception("unread_failed")
            return False
        if answer is None:
            return False
        if len(data) > HELD_BYTES:
            unread.count()
            return self._reply(answer)
        self._held = data, answer
        # Who waits for an answer is not idle, and does not have to make room.
        self._idle.stop()
        unread.second_look.await_turn(self, self.loop)
        return True

    def look_again(self) -> None:
        """Turn away what is held if it still is too much; else it is a request like any other."""
        held, unread = self._held, self.unread
        self._held = None
        if held is None or unread is None or self.is_ending or self._socket.is_closing():
            return
        data, answer = held
        if unread.is_due():
            unread.count()
            self._reply(answer)
        else:
            self._take(data)

    def shutdown(self) -> None:
        """The server stops: what is held is answered first."""
        self.look_again()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._held = None
        super().connection_lost(exc)

    def _reply(self, answer: bytes | None) -> bool:
        if answer is None:
            return False
        self._socket.write(answer)
        self._server_state.total_requests += 1
        self._idle.start()
        return True

    def _is_plain(self, cycle: Cycle, data: bytes) -> bool:
        """Whether what came was one request without a body, and the connection goes on after it."""
        return (
            self._part is _IDLE
            and cycle.keep_alive
            and not self._is_deaf
            and data.startswith((b"GET ", b"HEAD "))
            and data.find(b"\r\n\r\n") == len(data) - 4
        )
