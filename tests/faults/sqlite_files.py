"""Failures inside SQLite: the file methods of its virtual file system, replaced from outside.

SQLite calls the operating system itself, so what it does then, rolling back above all, is only seen when the call
fails beneath it. Its default file system is a struct of function pointers (https://sqlite.org/c3ref/vfs.html and
https://sqlite.org/c3ref/io_methods.html); here its ``xOpen`` gives each file of the database our ``xWrite``,
``xSync`` and ``xTruncate``, which ask first and then call the original.
"""

import ctypes
import errno
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_longlong, c_void_p, cast, pointer
from typing import Any, ClassVar, Final

import pysqlite3._sqlite3

Before = Callable[[str, str, str], bool]

#: The name as an address, because SQLite keeps it for as long as the file is open.
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_longlong)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_longlong)

_FULL: Final = 13
#: SQLITE_IOERR with what failed in its second byte.
_FAILED: Final = {"write": 10 | 3 << 8, "sync": 10 | 4 << 8, "truncate": 10 | 6 << 8}

_TARGETS: Final = ((b"metadata.db-wal", "log"), (b"metadata.db", "database"))


class _Methods(Structure):
    """``sqlite3_io_methods``, version 3."""

    _fields_: ClassVar = [
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", c_void_p),
        ("xTruncate", c_void_p),
        ("xSync", c_void_p),
        ("others", c_void_p * 13),
    ]


class _File(Structure):
    """The public beginning of ``sqlite3_file``."""

    _fields_: ClassVar = [("pMethods", POINTER(_Methods))]


class _FileSystem(Structure):
    """The beginning of ``sqlite3_vfs``, up to what is replaced."""

    _fields_: ClassVar = [
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
    ]


class _Replacement:
    """Methods for the files of one kind, around the original ones."""

    def __init__(self, original: _Methods, target: str, before: Before, end: Callable[[], None]) -> None:
        self._target = target
        self._before = before
        self._end = end
        write, sync = _WRITE(original.xWrite), _SYNC(original.xSync)
        truncate = _TRUNCATE(original.xTruncate)
        #: Kept, because SQLite only has their addresses.
        self._callbacks = (
            _WRITE(lambda file, *arguments: self._around("write", write, file, *arguments)),
            _SYNC(lambda file, *arguments: self._around("sync", sync, file, *arguments)),
            _TRUNCATE(lambda file, *arguments: self._around("truncate", truncate, file, *arguments)),
        )
        self.methods = _Methods.from_buffer_copy(original)
        self.methods.xWrite, self.methods.xSync, self.methods.xTruncate = (
            cast(callback, c_void_p).value for callback in self._callbacks
        )

    def _around(self, call: str, original: Any, *arguments: Any) -> int:
        try:
            is_last = self._before(call, self._target, self._target)
        except OSError as error:
            return _FULL if error.errno == errno.ENOSPC else _FAILED[call]
        result: int = original(*arguments)
        if is_last:
            self._end()
        return result


class _Opening:
    """The replaced ``xOpen``."""

    def __init__(self, system: _FileSystem, before: Before, end: Callable[[], None]) -> None:
        self._open = _OPEN(system.xOpen)
        self._before = before
        self._end = end
        self._replacements: dict[tuple[int, str], _Replacement] = {}
        self._callback = _OPEN(self._opened)
        system.xOpen = cast(self._callback, c_void_p).value

    def _opened(self, system: int, name: int | None, address: int, flags: int, out: int) -> int:
        result: int = self._open(system, name, address, flags, out)
        text = ctypes.string_at(name) if name else b""
        target = next((target for end, target in _TARGETS if text.endswith(end)), "")
        if result == 0 and target:
            file = cast(address, POINTER(_File)).contents
            file.pMethods = pointer(self._replacement(file.pMethods, target).methods)
        return result

    def _replacement(self, original: Any, target: str) -> _Replacement:
        key = ctypes.addressof(original.contents), target
        if key not in self._replacements:
            self._replacements[key] = _Replacement(original.contents, target, self._before, self._end)
        return self._replacements[key]


_installed: list[_Opening] = []


def install(before: Before, end: Callable[[], None]) -> None:
    """Replace the methods of every database file that is opened from now on, here and in forked children.

    ``before`` is asked with call, target and a text; it raises ``OSError`` for a call that shall fail, and returns
    True where ``end`` is to be called after it.
    """
    library = ctypes.CDLL(pysqlite3._sqlite3.__file__)
    library.sqlite3_vfs_find.restype = POINTER(_FileSystem)
    system = library.sqlite3_vfs_find(None).contents
    _installed.append(_Opening(system, before, end))
