"""The whole application in this process, without sockets: every request with all that it did."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType, TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote

from moorage import wiring
from moorage.auth.credentials import generate_access_key
from moorage.config import Settings
from moorage.domain.names import RegistryId
from moorage.web import log
from tests.fuzz.integrity import Traces
from tests.fuzz.json_api import ACCOUNTS, HOST, JsonRequests
from tests.fuzz.oracles import PATIENCE
from tests.fuzz.registry_api import told_token
from tests.fuzz.requests import Answer, Sent
from tests.fuzz.values import Known
from tests.serving import Credentials

Build = Callable[[Settings], Any]

#: Seconds after which a request is broken off: of waiting, and of computing without a pause.
_WAITING: Final = 4 * PATIENCE
_COMPUTING: Final = 30.0


class Stuck(Exception):
    """A request keeps the processor and gives nobody else a turn."""


class Fuzzed:
    """One server in a directory of its own, used in one event loop. ``build`` makes what is attacked."""

    def __init__(self, directory: Path, build: Build = wiring.build_app) -> None:
        self.settings = Settings(data_dir=directory / "data", disk_reserve_bytes=0)
        wiring.prepare(self.settings)
        found = Credentials.read(self.settings.data_dir)
        self.key = (found.access_key_id, found.secret_access_key)
        other = generate_access_key()
        with wiring.office(self.settings) as desk:
            wiring.add_root_key(desk.database, desk.master_key, RegistryId(ACCOUNTS[1]), other)
        self._other_key = (other.access_key_id, other.secret_access_key)
        self._application = build(self.settings)
        self._lines: list[bytes] = []
        self._begun = 0.0
        self.traces = Traces(self.settings.data_dir)

    async def __aenter__(self) -> Self:
        log.configure("info")
        setattr(log.writer, "_put", self._lines.append)  # noqa: B010 - the bytes that would go to standard error
        self._task = asyncio.current_task()
        self._watch = asyncio.create_task(self._cancel_what_waits())
        self._previous = signal.signal(signal.SIGPROF, self._stop_what_computes)
        signal.setitimer(signal.ITIMER_PROF, _COMPUTING / 2, _COMPUTING / 2)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._previous)
        self._watch.cancel()
        await self._end()
        self.traces.close()
        log.writer.flush()
        del log.writer._put

    async def _end(self) -> None:
        """Let the application close what it holds."""
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict[str, Any]:
            return next(messages)

        async def send(_message: Any) -> None:
            return None

        await self._application({"type": "lifespan"}, receive, send)

    async def send(self, sent: Sent) -> Answer:
        """One request to its end, with all that it did."""
        answer = Answer()
        # Over a socket each comes in a turn of the loop of its own; here most never wait, and all would be one turn,
        # which is over at last: the server would turn away the rest for want of time.
        await asyncio.sleep(0)
        self._begun = begun = time.perf_counter()
        try:
            await self._exchange(sent, answer)
        except asyncio.CancelledError:
            answer.failure = "nothing, and hangs"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            answer.failure = f"{type(error).__name__}: {error}"
        self._begun = 0.0
        answer.seconds = time.perf_counter() - begun
        log.writer.flush()
        answer.log = b"".join(self._lines)
        self._lines.clear()
        answer.traces = self.traces.left_by(sent, answer)
        return answer

    async def tokens(self) -> list[str]:
        """Values of ``Authorization`` for ``/v2/``: of this account, of another one, and four that open nothing."""
        good = [await self._token(self.key), await self._token(self._other_key)]
        return [*good, good[0][:-9], "Basic QVdTOng=", "Bearer x", ""]

    async def _token(self, key: tuple[str, str]) -> str:
        answer = await self.send(JsonRequests(Random(0), Known(), key).signed("GetAuthorizationToken", b"{}"))
        return told_token(answer.body)

    async def _exchange(self, sent: Sent, answer: Answer) -> None:
        messages = _messages(sent)

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return] # The client waits.

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], message["headers"]
            else:
                answer.body += message.get("body", b"")
                answer.is_complete = not message.get("more_body", False)

        await self._application(_scope(sent), receive, send)

    async def _cancel_what_waits(self) -> None:
        while True:
            await asyncio.sleep(_WAITING / 4)
            if self._begun and time.perf_counter() - self._begun > _WAITING and self._task is not None:
                self._task.cancel()

    def _stop_what_computes(self, _number: int, _frame: FrameType | None) -> None:
        if self._begun and time.perf_counter() - self._begun > _COMPUTING:
            raise Stuck


def _scope(sent: Sent) -> dict[str, Any]:
    path, _, query = sent.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "headers": list(sent.headers),
        "client": ("127.0.0.1", 4711),
        "server": HOST.split(":"),
    }


def _messages(sent: Sent) -> list[dict[str, Any]]:
    *former, last = sent.pieces
    made: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in former
    ]
    made.append({"type": "http.request", "body": last, "more_body": sent.is_cut})
    return [*made, {"type": "http.disconnect"}] if sent.is_cut else made
