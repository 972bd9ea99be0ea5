"""A load generator for HEAD: ``python -m bench.heads HOST:PORT FILE CONNECTIONS SECONDS``.

wrk waits for the body that a Content-Length announces, which never comes. One thread, one request in flight on each
connection. The last line of the output is JSON, as ``replay.lua`` writes it.
"""

import json
import random
import select
import socket
import sys
import time
from pathlib import Path


def read_requests(file: Path) -> list[bytes]:
    """The requests of a file as ``small.py`` writes it."""
    data, requests, at = file.read_bytes(), [], 0
    while at < len(data):
        begin = data.index(b"\n", at) + 1
        end = begin + int(data[at : begin - 1])
        requests.append(data[begin:end])
        at = end + 1
    return requests


def run(address: str, requests: list[bytes], connections: int, seconds: float) -> tuple[int, int]:
    """How many requests were answered, and how many of them otherwise than with 200."""
    host, _, port = address.rpartition(":")
    poll = select.epoll()
    by_number = {}
    for _ in range(connections):
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        by_number[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
        connection.sendall(random.choice(requests))
    answered = failed = 0
    pending = dict.fromkeys(by_number, b"")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for number, _ in poll.poll(1):
            connection = by_number[number]
            answer = pending[number] + connection.recv(65536)
            if not answer.endswith(b"\r\n\r\n"):
                pending[number] = answer
                failed += not answer
                continue
            pending[number] = b""
            answered += 1
            failed += not answer.startswith(b"HTTP/1.1 200 ")
            connection.sendall(random.choice(requests))
        if failed:
            break
    return answered, failed


def main() -> int:
    """Parse arguments, run, print."""
    address, file, connections, seconds = sys.argv[1:]
    answered, failed = run(address, read_requests(Path(file)), int(connections), float(seconds))
    print(json.dumps({"requests": answered, "failed": failed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
