"""Kills the server with kill -9 under load, again and again, and looks whether it kept every promise.

    python -m tests.durability.kill_rounds --rounds 100

What is killed rotates: the parent alone, one worker, all processes. Afterwards every acknowledged push is pullable
and correct, every unfinished upload holds what was acknowledged of it and can be resumed, every deletion stays done,
nothing is there by half, and the server was ready again within five seconds. See ``rounds`` for the order of things.

This shows that no acknowledgement is made before its commit; it does not show that what is committed was synced,
because the kernel outlives a kill. ``power_cuts`` does.
"""

import sys

from tests.durability.campaigns import Kind, parse, run
from tests.durability.victim import Kill

KIND = Kind("kills", (Kill.WORKER, Kill.PARENT, Kill.EVERYTHING), per_directory=100)

if __name__ == "__main__":
    sys.exit(run(parse(KIND, "Kill the server under load and look whether it kept every promise.")))
