"""File descriptors: as many as the system grants, and never more connections than they are good for."""

import resource

import structlog

#: Descriptors of a connection at its worst: its own, the reader's duplicate, a blob or a segment.
PER_CONNECTION = 3

#: Connections beyond the bound, which are only told so: one descriptor each.
SPARE_CONNECTIONS = 128

#: TLS handshakes under way, which are no connections yet: one descriptor each.
HANDSHAKES = 128

#: Databases, locks, logs, listeners, pipes, and the libraries' own.
OTHERS = 256

#: Raising the limit beyond this would only help those who want to exhaust memory.
MOST = 1_048_576

_logger = structlog.get_logger()


def raise_limit() -> int:
    """Take all descriptors that this process may have; returns how many that are. Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
    return max(granted, soft)


def most_connections(wanted: int, limit: int) -> int:
    """The connections that one process accepts: those that are wanted (0: any number), as far as ``limit`` allows."""
    possible = max(1, (limit - OTHERS - SPARE_CONNECTIONS - HANDSHAKES) // PER_CONNECTION)
    if possible >= wanted > 0:
        return wanted
    if wanted > 0:
        _logger.warning("connections_bounded_by_descriptors", wanted=wanted, possible=possible, limit=limit)
    return possible
