"""A process of its own that works on a database until it is told to end, for tests of processes side by side.

Usage: ``metadata_process.py <database> write|read|answer <prefix> <seconds>``. Prints ``ready`` and waits for a line
on its standard input. Then it writes or reads in a loop, and prints one JSON object: how often it came round and how
long it waited at most. Or it answers for each further line whether an account of that id exists.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from moorage.config import Settings
from moorage.metadata import accounts
from moorage.metadata.sqlite import SqliteDatabase
from moorage.metadata.transaction import Transaction

#: Writers of one process at the same time, so that its queue never runs dry.
WRITERS = 8


def write(tx: Transaction, account_id: str) -> None:
    """A change as small as changes are."""
    accounts.ensure_account(tx, account_id)


def read(tx: Transaction) -> int:
    """A read that holds its snapshot for a moment, so that those of two processes overlap."""
    accounts.has_account(tx, "0")
    time.sleep(0.002)
    return int(accounts.has_account(tx, "0"))


async def work(database: SqliteDatabase, what: str, prefix: str, seconds: float) -> dict[str, float]:
    """Write or read in a loop until the time is over."""
    end = time.monotonic() + seconds
    rounds, longest = 0, 0.0

    async def loop(number: int) -> None:
        nonlocal rounds, longest
        while (began := time.monotonic()) < end:
            if what == "write":
                await database.write(write, f"{prefix}{number}-{rounds}")
            else:
                await database.read(read)
                await asyncio.sleep(0)
            rounds += 1
            longest = max(longest, time.monotonic() - began)

    await asyncio.gather(*(loop(number) for number in range(WRITERS)))
    return {"rounds": rounds, "longest": longest}


def main(path: str, what: str, prefix: str, seconds: str) -> None:
    """See the module."""
    database = SqliteDatabase(Path(path), Settings())
    print("ready", flush=True)  # noqa: T201 - the protocol with the test
    sys.stdin.readline()
    if what == "answer":
        for line in sys.stdin:
            print(json.dumps(database.read_now(accounts.has_account, line.strip())), flush=True)  # noqa: T201
    else:
        print(json.dumps(asyncio.run(work(database, what, prefix, float(seconds)))), flush=True)  # noqa: T201
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
