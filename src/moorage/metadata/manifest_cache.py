"""Manifest bytes by row id. They never change, so a process may keep those it has read."""

import threading
from collections import OrderedDict


class ManifestCache:
    """The bytes last used, up to a bound on their sum."""

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._contents: OrderedDict[int, bytes] = OrderedDict()

    def get(self, manifest_id: int) -> bytes | None:
        """The bytes, or None when they are not kept."""
        with self._lock:
            content = self._contents.get(manifest_id)
            if content is not None:
                self._contents.move_to_end(manifest_id)
            return content

    def put(self, manifest_id: int, content: bytes) -> None:
        """Keep these bytes; the ones used longest ago make room."""
        with self._lock:
            if manifest_id in self._contents:
                return
            self._contents[manifest_id] = content
            self._size += len(content)
            while self._size > self._limit:
                _, dropped = self._contents.popitem(last=False)
                self._size -= len(dropped)
