"""Private files are created whole, once, and for their owner alone."""

from pathlib import Path

import pytest

from moorage.auth.private_files import PrivateFileError, create_private_file, read_private_file


def test_created_file_holds_its_content(tmp_path: Path) -> None:
    """And can be read back."""
    assert create_private_file(tmp_path / "file", b"content")
    assert read_private_file(tmp_path / "file") == b"content"


def test_file_that_exists_is_kept(tmp_path: Path) -> None:
    """The second to create it gets False, and leaves nothing behind."""
    create_private_file(tmp_path / "file", b"first")
    assert not create_private_file(tmp_path / "file", b"second")
    assert read_private_file(tmp_path / "file") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails to sync, there is no file."""

    def fail(descriptor: int) -> None:
        raise OSError("no sync")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no sync"):
        create_private_file(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """The sentence names file, mode and remedy."""
    path = tmp_path / "file"
    create_private_file(path, b"content")
    path.chmod(0o644)
    with pytest.raises(PrivateFileError, match=r"mode 0644.*chmod 600"):
        read_private_file(path)
