"""Kills the server with kill -9 under load, again and again, and looks whether it kept every promise.

    python -m tests.durability.kill_rounds --rounds 100
    python -m tests.durability.kill_rounds --rounds 100 --database postgresql

What is killed rotates: the parent alone, one worker, all processes. Afterwards every acknowledged push is pullable
and correct, every unfinished upload holds what was acknowledged of it and can be resumed, every deletion stays done,
nothing is there by half, and the server was ready again within five seconds. See ``rounds`` for the order of things.

This shows that no acknowledgement is made before its commit; it does not show that what is committed was synced,
because the kernel outlives a kill. ``power_cuts`` does.

On PostgreSQL the database is struck as well, with kill -9 and as by a crash of its own: meanwhile every request is
answered with 503 and Retry-After, and the server is ready again within ten seconds of it.
"""

import dataclasses
import sys

from tests.durability.campaigns import Kind, parse, run
from tests.durability.databases import postgresql
from tests.durability.victim import Kill

KIND = Kind("kills", (Kill.WORKER, Kill.PARENT, Kill.EVERYTHING), per_directory=100)
ON_POSTGRESQL = dataclasses.replace(
    KIND, kills=(*KIND.kills, Kill.DATABASE, Kill.DATABASE_CRASH), database=postgresql
)

if __name__ == "__main__":
    what = "Kill the server under load and look whether it kept every promise."
    sys.exit(run(parse(KIND, what, {"postgresql": ON_POSTGRESQL})))
