"""Lines of JSON that terminals and readers of lines can be shown."""

import json


def escaped(line: bytes) -> bytes:
    """The line with escapes for what JSON lets stand but terminals and readers of lines obey.

    Such are controls beyond the first 32, separators of lines, marks of direction. A newline at the end stays.
    """
    if line.isascii() and b"\x7f" not in line:
        return line
    letters = (
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in line.decode()
    )
    return "".join(letters).encode()
