"""Disks whose power can be cut: ext4 in a file, on a loop device.

The cut is ext4's own ``EXT4_IOC_SHUTDOWN``, told not to flush its journal: from then on every access fails, and what
was not synced is not there when the file system is mounted again. Both were seen: a file that was synced and linked
but whose directory was not comes back without its new name, and one that was not synced comes back empty or not at
all. The journal is never written out by time alone (``commit=``), and files that replace others get no flush of
their own (``noauto_da_alloc``), so that nothing is durable but what somebody asked for.

Making a loop device and mounting it is root's, and many containers forbid it. Then nothing here can run, and that is
a failure, unless ``CI_WITHOUT_LOOP_MOUNTS=1`` says that this machine cannot.
"""

import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

#: The variable that says that this machine cannot mount; then what needs it is left out, and says so.
EXCUSE = "CI_WITHOUT_LOOP_MOUNTS"

NOT_RUN = "not run: loop mounts are not allowed here"

#: _IOR('X', 125, __u32), and "without flushing the log" (fs/ext4/ext4.h of Linux).
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2

_OPTIONS = "loop,commit=3600,noauto_da_alloc"
_UNMOUNT_SECONDS = 10.0


class LoopMountsForbidden(Exception):
    """This machine does not let us mount a file; the text is what it said."""


class Disk:
    """One ext4 file system of ``megabytes`` in ``image``, mounted at ``place``. Raises ``LoopMountsForbidden``."""

    def __init__(self, image: Path, place: Path, megabytes: int, *options: str) -> None:
        self.place = place
        self._image = image
        with image.open("wb") as file:
            file.truncate(megabytes * 1024 * 1024)
        place.mkdir()
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,nodiscard", *options, str(image))
        self.mount()

    def mount(self) -> None:
        """Mount it; what its journal holds is replayed."""
        _run("mount", "-o", _OPTIONS, str(self._image), str(self.place))

    def unmount(self) -> None:
        """Take it off; processes that were just killed may hold it for a moment yet."""
        until = time.monotonic() + _UNMOUNT_SECONDS
        while self.place.is_mount():
            try:
                _run("umount", str(self.place))
            except LoopMountsForbidden:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def cut(self) -> None:
        """Cut the power. What follows fails with EIO until it is unmounted and mounted again."""
        descriptor = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def find_error(self) -> None:
        """Have the file system find an error in itself; one made with ``-e remount-ro`` becomes read-only."""
        source = next(
            line.split()[0]
            for line in Path("/proc/mounts").read_text().splitlines()
            if f" {self.place} " in line
        )
        Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("found by a test")

    def restore(self) -> None:
        """Power is back."""
        self.unmount()
        self.mount()


class Power:
    """The disks of one server, cut together."""

    def __init__(self, data_dir: Path, disks: list[Disk]) -> None:
        self.data_dir = data_dir
        self._disks = disks

    def cut(self) -> None:
        """Cut the power of all."""
        for disk in self._disks:
            disk.cut()

    def restore(self) -> None:
        """Power is back for all."""
        for disk in self._disks:
            disk.restore()


@contextmanager
def disk(directory: Path, name: str, megabytes: int, *options: str) -> Iterator[Disk]:
    """A disk at ``<directory>/<name>``, gone again on leaving."""
    image = directory / f"{name}.img"
    made = Disk(image, directory / name, megabytes, *options)
    try:
        yield made
    finally:
        made.unmount()
        image.unlink()
        made.place.rmdir()


@contextmanager
def power(directory: Path, *, is_apart: bool, megabytes: int = 6144) -> Iterator[Power]:
    """A data directory on a disk that can be cut; with ``is_apart`` its database lies on another.

    On one ext4 a commit of the database's log carries every new directory entry with it, because all that changed
    shares one journal. Only where the database lies apart is it seen whether the blobs' directories are synced.
    """
    with ExitStack() as stack:
        blobs = stack.enter_context(disk(directory, "disk", megabytes))
        data_dir = blobs.place / "data"
        if not is_apart:
            yield Power(data_dir, [blobs])
            return
        database = stack.enter_context(disk(directory, "database", megabytes // 4))
        data_dir.mkdir(mode=0o700)
        (data_dir / "metadata.db").symlink_to(database.place / "metadata.db")
        for place in (blobs.place, data_dir, database.place):
            _sync(place)
        yield Power(data_dir, [blobs, database])


def check() -> None:
    """Raises ``LoopMountsForbidden`` where no file can be mounted."""
    with tempfile.TemporaryDirectory() as directory, disk(Path(directory), "trial", 8):
        pass


def may_mount() -> bool:
    """Whether disks can be had. False only where ``EXCUSE`` is set, and not without a loud word.

    Raises ``LoopMountsForbidden``.
    """
    try:
        check()
    except LoopMountsForbidden as error:
        sys.stderr.write(f"\n*** {NOT_RUN} ***\n{error}\n")
        if os.environ.get(EXCUSE) != "1":
            sys.stderr.write(f"{EXCUSE}=1 says that this machine cannot; without it this is a failure\n")
            raise
        return False
    return True


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LoopMountsForbidden(f"{command[0]} is missing") from error
    except subprocess.CalledProcessError as error:
        raise LoopMountsForbidden(f"{' '.join(command)}: {error.stderr.strip()}") from error


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)
