"""A connection that looks at a request before it parses it: for what is ready, and for what is too much."""

from typing import cast

import structlog

from moorage.web.cycle import Cycle
from moorage.web.lending import LendingProtocol
from moorage.web.protocol import Part
from moorage.web.shortcut import Known, Shortcut
from moorage.web.unread import Unread

_logger = structlog.get_logger()

#: A name of its own: to look a member of an enumeration up costs as much as a call.
_IDLE = Part.IDLE


class RepeatingProtocol(LendingProtocol):
    """A connection that remembers the header it read last, and holds a request that is too much.

    A subclass may carry a ``shortcut``, for what is ready, and an ``unread``, for what is too much.
    """

    shortcut: Shortcut | None = None
    unread: Unread | None = None
    _known: Known | None = None
    #: What waits for its second look; nothing is read meanwhile.
    _held: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Answer at once what is ready; hold what is too much; have the rest parsed."""
        if self._held is not None:
            # It was decrypted already when reading was paused.
            self._held += data
            return
        if not self._is_at_rest():
            super().data_received(data)
            return
        if self._answer_ready(data):
            return
        unread = self.unread
        if unread is not None and unread.is_due() and (self._hold(unread, data) or self._turn_away(data)):
            return
        self._take(data)

    def shutdown(self) -> None:
        """The server stops: what is held is answered first."""
        self.look_again(is_last=True)
        super().shutdown()

    # What is too much

    def _hold(self, unread: Unread, data: bytes) -> bool:
        if self._is_one_of_a_crowd() or not unread.may_wait(data):
            return False
        self._held = data
        # Who waits for an answer is not idle, and does not have to make room.
        self._idle.stop()
        self.flow.pause_reading()
        unread.second_look.hold(self.look_again, len(data), self.loop)
        return True

    def look_again(self, *, is_last: bool) -> bool:
        """See ``Look``."""
        data, unread = self._held, self.unread
        if data is None or self.transport.is_closing():
            return True
        if not is_last and unread is not None and unread.is_due():
            return False
        self._held = None
        try:
            self.flow.resume_reading()
            if not self._answer_ready(data) and not self._turn_away(data):
                self._take(data)
        except Exception:  # a transport would end the connection as well
            _logger.exception("second_look_failed")
            self._socket.abort()
        return True

    def _turn_away(self, data: bytes) -> bool:
        unread = self.unread
        if unread is None or not unread.is_due() or self._is_one_of_a_crowd():
            return False
        try:
            answer = unread.answer(data, self.default_head())
        except Exception:  # the ordinary way turns it away as well
            _logger.exception("unread_failed")
            return False
        if answer is None:
            return False
        unread.note_turned_away()
        self._reply(answer)
        return True

    def _is_one_of_a_crowd(self) -> bool:
        """Then it has to go, which the ordinary way sees to."""
        return "extensions" in self._scope

    # What is ready

    def _answer_ready(self, data: bytes) -> bool:
        shortcut, known = self.shortcut, self._known
        if shortcut is None or known is None:
            return False
        try:
            answer = shortcut.answer(known, data, self.default_head())
        except Exception:  # the ordinary way is there, and answers faults as it should
            _logger.exception("shortcut_failed")
            self._known = None
            return False
        if answer is None:
            return False
        self._reply(answer)
        return True

    def _take(self, data: bytes) -> None:
        """Have it parsed; if it is a request that may come again, remember its header."""
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

    def _reply(self, answer: bytes) -> None:
        self._socket.write(answer)
        self._server_state.total_requests += 1
        self._idle.start()

    def _is_plain(self, cycle: Cycle, data: bytes) -> bool:
        """Whether what came was one request without a body, and the connection goes on after it."""
        return (
            self._part is _IDLE
            and cycle.keep_alive
            and not self._is_deaf
            and data.startswith((b"GET ", b"HEAD "))
            and data.find(b"\r\n\r\n") == len(data) - 4
        )
