"""Sends hostile requests by the hundred thousand and tells what was not answered as it must be.

    python -m tests.fuzz --requests 100000
    python -m tests.fuzz --requests 10000000 --seconds 7200 --state proof.jsonl     goes on where it was stopped
    python -m tests.fuzz --replay failures/1-17-2342.json

Of a hundred requests 54 go to the JSON API and 44 to ``/v2/``, to the whole application in this process; two are
connections to real servers, in plain text and over TLS, of one to nine requests each and counted as one. Everything
is made from one seed, which is printed. A fault is written to a file from which it is played again: first its
request alone, then, if that is answered well, everything before it.
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from tests.fuzz.raw import perform, replay_raw
from tests.fuzz.raw_cases import Case
from tests.fuzz.requests import Sent
from tests.fuzz.volume import MOST_FAULTS, Chunk, Fault, Tally, replay

RAW_SHARE: Final = 0.02
#: Each chunk starts a server in this process, or six processes of real ones: long chunks spend less on that.
_CHUNK: Final = 10_000
_RAW_CHUNK: Final = 4_000

#: As many others are played for each chunk of raw connections, which keeps their share about even over a run.
_RAW_EVERY: Final = round(_RAW_CHUNK * (1 - RAW_SHARE) / RAW_SHARE / _CHUNK)

#: Number, count and kind of a chunk, and the statuses that it brought.
Earlier = dict[tuple[int, int, bool], dict[str, int]]


def tell(text: str) -> None:
    """A line to whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def chunks(seed: int, requests: int) -> Iterator[Chunk]:
    """What is to be played, raw connections spread over it."""
    raw = round(requests * RAW_SHARE)
    rest, number = requests - raw, 0
    while rest > 0 or raw > 0:
        if raw > 0 and (rest <= 0 or number % _RAW_EVERY == 0):
            yield Chunk(seed, number, min(raw, _RAW_CHUNK), is_raw=True)
            raw -= _RAW_CHUNK
        if rest > 0:
            yield Chunk(seed, number, min(rest, _CHUNK))
            rest -= _CHUNK
        number += 1


class Campaign:
    """A whole run: its chunks, what was done of them before, and what came of it."""

    def __init__(self, seed: int, given: argparse.Namespace) -> None:
        self._seed = seed
        self._given = given
        self._state: Path | None = given.state
        self._tally = Tally()
        self._raw = 0
        self._deadline = time.monotonic() + given.seconds
        self._begun = time.monotonic()
        self._earlier = earlier(given.state, seed)

    def run(self) -> bool:
        """Play until all is done, the time is over or there are faults enough. Whether all of it was well."""
        left = [chunk for chunk in chunks(self._seed, self._given.requests) if not self._was_done(chunk)]
        pool = ProcessPoolExecutor(
            self._given.processes + 1, mp_context=get_context("spawn"), max_tasks_per_child=8
        )
        running: dict[Future[Tally], Chunk] = {}
        with pool:
            while left or running:
                while self._may_go_on() and (chunk := self.next_of(left, running.values())) is not None:
                    left.remove(chunk)
                    running[pool.submit(perform, chunk)] = chunk
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._count(running.pop(future), future.result())
        self._report()
        return not self._tally.faults and not left

    def next_of(self, left: Sequence[Chunk], running: Collection[Chunk]) -> Chunk | None:
        """What is to be begun now: raw connections wait most of their time, so one such chunk runs beside the rest."""
        raw = sum(chunk.is_raw for chunk in running)
        is_free = {True: raw == 0, False: len(running) - raw < self._given.processes}
        return next((chunk for chunk in left if is_free[chunk.is_raw]), None)

    def _may_go_on(self) -> bool:
        return time.monotonic() < self._deadline and len(self._tally.faults) < MOST_FAULTS

    def _count(self, chunk: Chunk, tally: Tally) -> None:
        self._tally.add(tally)
        self._raw += tally.requests if chunk.is_raw else 0
        for fault in tally.faults:
            file = write_fault(fault, self._given.failures)
            tell(f"FAULT {file}: {'; '.join(fault.sentences)[:2000]}")
        if self._state is not None:
            with self._state.open("a") as state:
                line = {"chunk": asdict(chunk), "statuses": tally.statuses, "faults": len(tally.faults)}
                state.write(json.dumps(line) + "\n")

    def _was_done(self, chunk: Chunk) -> bool:
        """Whether an earlier run played it; its counts are taken over."""
        found = self._earlier.get((chunk.number, chunk.count, chunk.is_raw))
        if found is None:
            return False
        self._tally.requests += sum(found.values()) - found.get("slow once", 0)
        self._tally.statuses.update(found)
        self._raw += sum(found.values()) - found.get("slow once", 0) if chunk.is_raw else 0
        return True

    def _report(self) -> None:
        tally, seconds = self._tally, time.monotonic() - self._begun
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(tally.statuses.items()))
        tell(
            f"seed {self._seed}: {tally.requests} of {self._given.requests} requests, "
            f"{self._raw} of them raw connections"
        )
        tell(f"answers {statuses}")
        tell(f"faults {len(tally.faults)}; {seconds:.0f} s in this run")


def earlier(state: Path | None, seed: int) -> Earlier:
    """The chunks of this seed that were played without faults before."""
    lines = state.read_text().splitlines() if state and state.exists() else []
    told = [json.loads(line) for line in lines]
    return {
        (each["chunk"]["number"], each["chunk"]["count"], each["chunk"]["is_raw"]): each["statuses"]
        for each in told
        if each["chunk"]["seed"] == seed and not each["faults"]
    }


def write_fault(fault: Fault, directory: Path) -> Path:
    """Write what is needed to play it again; returns the file."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{fault.chunk.seed}-{fault.chunk.number}-{fault.index}.json"
    file.write_text(json.dumps(asdict(fault), indent=1))
    return file


def play_again(file: Path) -> list[str]:
    """What is wrong this time."""
    told: dict[str, Any] = json.loads(file.read_text())
    chunk, sent = Chunk(**told["chunk"]), told["sent"]
    if sent is None:
        return [sentence for fault in perform(chunk).faults for sentence in fault.sentences]
    return replay_raw(Case.read(sent)) if chunk.is_raw else replay(Sent.read(sent), chunk, told["index"])


def main() -> int:
    """Run what the command line says; 1 when anything was wrong or left undone."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Hostile requests by the hundred thousand."
    )
    parser.add_argument("--requests", type=int, default=100_000, help="how many, all told")
    parser.add_argument("--seconds", type=float, default=3_600, help="after which nothing new is begun")
    parser.add_argument("--seed", type=int, help="a random one when it is left out")
    parser.add_argument(
        "--processes", type=int, default=2, help="how many play at once, one of raw connections aside"
    )
    parser.add_argument("--state", type=Path, help="file of the chunks that are done; needs --seed to go on")
    parser.add_argument("--failures", type=Path, default=Path(".cache/fuzz"), help="directory for faults")
    parser.add_argument("--replay", type=Path, help="play a fault again from its file")
    given = parser.parse_args()
    if given.replay is not None:
        found = play_again(given.replay)
        tell("\n".join(found) or "all is well")
        return int(bool(found))
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    tell(f"seed {seed}")
    return int(not Campaign(seed, given).run())


if __name__ == "__main__":
    sys.exit(main())
