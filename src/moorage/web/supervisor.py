"""The parent process: owns the listening sockets and the data lock, keeps its children alive, stops them in order.

It serves nothing itself. A child that ends is started again, later each time it fails early; a server whose
children cannot even start gives up and says so.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from moorage.config import Settings
from moorage.web import metrics
from moorage.web.child import ChildProcess, fork
from moorage.web.orders import Orders
from moorage.web.shares import Shares

#: Failures in a row, before a child was ever ready, after which the server gives up.
MAX_FAILED_STARTS = 3

FIRST_DELAY_SECONDS = 0.2
LAST_DELAY_SECONDS = 30.0

#: A child that lived this long has recovered: its next failure counts as the first.
STEADY_SECONDS = 60.0

#: Seconds beyond the drain, and after a second signal, before a child is killed.
KILL_AFTER_SECONDS = 10.0
HURRY_SECONDS = 7.0

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

_logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Slot:
    """A kind of child: ``count`` processes that run ``program`` with their orders.

    Only where ``is_listening`` do they get the listening sockets.
    """

    name: str
    program: Callable[[Orders], None]
    count: int = 1
    is_listening: bool = True


@dataclass(slots=True)
class _Child:
    """One place in a slot, with the process that fills it now."""

    slot: Slot
    number: int
    process: ChildProcess | None = None
    control: socket.socket | None = None
    is_ready: bool = False
    was_ready: bool = False
    failures: int = 0
    started_at: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """Runs the children of its slots. ``on_ready`` is called once, when all of them are ready the first time.

    ``inherited`` are further descriptors that children keep open, such as the data lock's. The data directory has
    to exist.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: Sequence[socket.socket],
        slots: Sequence[Slot],
        on_ready: Callable[[], None],
        inherited: Sequence[int] = (),
    ) -> None:
        self._settings = settings
        self._sockets = list(sockets)
        self._on_ready = on_ready
        self._inherited = tuple(inherited)
        self._children = [_Child(slot, number) for slot in slots for number in range(slot.count)]
        self._shares = {slot.name: Shares(slot.count) for slot in slots}
        self._metrics_directory = metrics.prepare_directory(settings.data_dir)
        self._selector = selectors.DefaultSelector()
        self._signals: deque[int] = deque()
        self._kill_at = float("inf")
        self._is_announced = False
        self._exit_code = 0

    def run(self) -> int:
        """Serve until told to stop; returns the exit code: 0 when stopped in order, 1 when nothing would start."""
        with self._signals_taken():
            while not self._is_stopping or any(child.process for child in self._children):
                self._start_due()
                self._wait()
                self._obey_signals()
                self._reap()
                self._kill_late()
        self._selector.close()
        _logger.info("stopped", exit_code=self._exit_code)
        return self._exit_code

    @property
    def _is_stopping(self) -> bool:
        return self._kill_at != float("inf")

    # Signals

    @contextlib.contextmanager
    def _signals_taken(self) -> Iterator[None]:
        """Collect signals, each of which wakes the wait; what was there before is put back."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(64))
        before = {
            number: signal.signal(number, lambda got, _: self._signals.append(got)) for number in _HANDLED
        }
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            reader.close()
            writer.close()

    def _obey_signals(self) -> None:
        while self._signals:
            number = self._signals.popleft()
            if number == signal.SIGHUP:
                self._signal_children(signal.SIGHUP)
            elif number in {signal.SIGTERM, signal.SIGINT}:
                self._stop()

    def _stop(self, exit_code: int = 0) -> None:
        """Drain; when asked again, hurry."""
        if self._is_stopping:
            _logger.info("stop_hurried")
            self._kill_at = min(self._kill_at, time.monotonic() + HURRY_SECONDS)
        else:
            drain = self._settings.drain_seconds
            note = f"running requests have up to {drain} seconds to end; a second signal ends them at once"
            _logger.info("stop_begun", drain_seconds=drain, note=note)
            self._exit_code = exit_code
            self._kill_at = time.monotonic() + self._settings.drain_seconds + KILL_AFTER_SECONDS
            for listener in self._sockets:
                listener.close()
        self._signal_children(signal.SIGTERM)

    def _signal_children(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(number)

    # Children

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and not self._is_stopping and now >= child.start_at:
                self._start(child)

    def _start(self, child: _Child) -> None:
        ours, theirs = socket.socketpair()
        listeners = tuple(self._sockets) if child.slot.is_listening else ()
        shares = self._shares[child.slot.name]
        mine = Orders(child.slot.name, child.number, self._settings, listeners, shares, theirs)
        child.process = fork(partial(child.slot.program, mine), partial(self._become_child, mine, ours))
        theirs.close()
        child.control = ours
        child.is_ready = False
        child.started_at = time.monotonic()
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(child))
        _logger.debug("child_started", slot=child.slot.name, number=child.number, process=child.process.pid)

    def _become_child(self, mine: Orders, ours: socket.socket) -> None:
        """In a child: let go of what is the supervisor's, above all of the ends that show that it lives."""
        ours.close()
        for other in self._children:
            if other.control is not None:
                other.control.close()
        for listener in self._sockets:
            if listener not in mine.sockets:
                listener.close()
        self._selector.close()
        with contextlib.suppress(OSError):  # what ``ps`` and ``top`` show, where there is such a file
            Path("/proc/self/comm").write_text(f"moorage-{mine.name}-{mine.number}")
        for name in [name for name in os.environ if name.startswith("MOORAGE_")]:
            del os.environ[name]
        metrics.share(self._metrics_directory)

    def _hear(self, child: _Child) -> None:
        control = child.control
        if control is None:
            return
        try:
            said = control.recv(64)
        except ConnectionError:
            said = b""
        if not said:
            self._hang_up(child)
            return
        child.is_ready = child.was_ready = True
        if not self._is_announced and all(other.is_ready for other in self._children):
            self._is_announced = True
            self._on_ready()

    def _hang_up(self, child: _Child) -> None:
        if child.control is not None:
            self._selector.unregister(child.control)
            child.control.close()
            child.control = None

    def _reap(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, child.process)

    def _bury(self, child: _Child, process: ChildProcess) -> None:
        metrics.forget_process(self._metrics_directory, process.pid)
        self._shares[child.slot.name].leave(child.number)
        self._hang_up(child)
        child.process = None
        child.is_ready = False
        if self._is_stopping:
            return
        now = time.monotonic()
        child.failures = 1 if now - child.started_at > STEADY_SECONDS else child.failures + 1
        delay = min(FIRST_DELAY_SECONDS * 2 ** (child.failures - 1), LAST_DELAY_SECONDS)
        child.start_at = now + delay
        _logger.error(
            "child_ended",
            slot=child.slot.name,
            number=child.number,
            exit_code=process.returncode,
            restart_in_seconds=delay,
        )
        if not child.was_ready and child.failures >= MAX_FAILED_STARTS:
            _logger.error("start_given_up", slot=child.slot.name, attempts=child.failures)
            self._stop(exit_code=1)

    def _kill_late(self) -> None:
        if time.monotonic() >= self._kill_at:
            for child in self._children:
                if child.process is not None:
                    _logger.error("child_killed", slot=child.slot.name, number=child.number)
                    child.process.send_signal(signal.SIGKILL)
                    child.process.wait()

    def _wait(self) -> None:
        due = [child.start_at for child in self._children if child.process is None and not self._is_stopping]
        until = min([*due, self._kill_at])
        timeout = None if until == float("inf") else max(0.0, until - time.monotonic())
        for key, _ in self._selector.select(timeout):
            key.data()
