"""``moorage audit tail``: the right records, in order, also while the log is rotated."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from moorage.cli.audit import Wanted, last_lines, new_lines
from moorage.cli.main import application
from moorage.domain import audit
from moorage.domain.arn import RepositoryArn
from moorage.domain.audit import Failure, Note
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.names import RepositoryName
from moorage.transfers.audit_file import rotate, rotated
from tests.support.callers import ACCOUNT, REGISTRY, request_facts

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


def line(name: str, *, principal: str = ALICE, event: str = "BatchGetImage", failed: bool = False) -> bytes:
    """A record of a call about a repository of this name."""
    registry = RegistryKey(ACCOUNT, REGISTRY.region)
    caller = Caller(ACCOUNT, principal, "AKIAALICE", registry.region, request_facts())
    note = Note(caller.request, event, caller=caller, registry=registry)
    note.repositories = [RepositoryArn(registry.region, ACCOUNT, RepositoryName(name))]
    note.add(repositoryName=name)
    return audit.record(
        note, "an-event", registry, failure=Failure("AccessDeniedException") if failed else None
    )


def names(lines: list[bytes]) -> list[Any]:
    """What the records are about."""
    return [json.loads(one)["requestParameters"]["repositoryName"] for one in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit log with three records, and a file before it with two."""
    path = tmp_path / "audit/audit.log"
    path.parent.mkdir()
    rotated(path, 1).write_bytes(line("a") + line("b"))
    path.write_bytes(line("c") + line("d", principal=f"arn:aws:iam::{ACCOUNT}:root") + line("e", failed=True))
    return path


def last(path: Path, count: int, **wanted: str) -> list[Any]:
    """What the last records that are asked for are about."""
    with path.open("rb") as file:
        return names(last_lines(file, path, Wanted(**wanted), count))


@pytest.mark.parametrize(("count", "expected"), [(0, ""), (2, "de"), (3, "cde"), (4, "bcde"), (9, "abcde")])
def test_the_last_records_are_shown_in_order_also_of_earlier_files(
    path: Path, count: int, expected: str
) -> None:
    """As many as are asked for."""
    assert last(path, count) == list(expected)


@pytest.mark.parametrize("principal", [ALICE, "alice", "AKIAALICE"])
def test_records_of_one_principal_are_found_by_each_of_its_names(path: Path, principal: str) -> None:
    """ARN, user name, access key."""
    found = last(path, 9, principal=principal)
    assert found == ["a", "b", "c", "d", "e"] if principal == "AKIAALICE" else ["a", "b", "c", "e"]


def test_records_of_one_repository_are_found(path: Path) -> None:
    """And of none other whose name ends alike."""
    path.write_bytes(path.read_bytes() + line("team/a"))
    assert last(path, 9, repository="a") == ["a"]
    assert last(path, 9, repository="a", principal="bob") == []


def test_a_record_that_is_not_whole_yet_and_a_line_that_is_none_are_passed_over(path: Path) -> None:
    """Somebody is writing it now."""
    path.write_bytes(line("c") + b"not a record\n" + line("d")[:50])
    assert last(path, 1) == ["c"]


@pytest.mark.parametrize(
    "other",
    [
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"eventName": "\xff"}',
        b'{"userIdentity": {}, "requestParameters": null}',
        line("c").replace(b'"type":"IAMUser",', b"").rstrip(),
        line("c").replace(b'"sourceIPAddress":"127.0.0.1",', b"").rstrip(),
        line("c").replace(b'"requestParameters":{"repositoryName":"c"}', b'"requestParameters":[]').rstrip(),
        line("c").replace(b'"ARN":', b'"arn":').rstrip(),
    ],
)
@pytest.mark.parametrize("wanted", [(), ("--repository", "d"), ("--principal", ALICE)])
def test_a_line_of_json_that_is_no_record_is_passed_over(
    path: Path, other: bytes, wanted: tuple[str, ...]
) -> None:
    """Some other program wrote it there."""
    path.write_bytes(other + b"\n" + line("d"))
    rotated(path, 1).unlink()
    for output in ("text", "json"):
        shown = run(path.parent.parent, *wanted, "--output", output)
        assert (shown.exit_code, len(shown.stdout.splitlines())) == (0, 1)


def test_what_comes_is_shown_whole_and_across_rotations(path: Path) -> None:
    """Even when it was rotated twice since the last look."""
    with path.open("rb") as file:
        last_lines(file, path, Wanted(), 1)
        following = new_lines(file, path)
        with path.open("ab") as writing:
            writing.write(line("f") + line("g")[:40])
            writing.flush()
            assert names(list(islice(following, 1))) == ["f"]
            writing.write(line("g")[40:])
        for name in ("h", "i"):
            rotate(path, 5)
            path.write_bytes(line(name))
        assert names(list(islice(following, 3))) == ["g", "h", "i"]
        following.close()


def run(data_dir: Path, *arguments: str, **environment: str) -> Result:
    """The command."""
    return CliRunner().invoke(
        application, ["audit", "tail", "--data-dir", str(data_dir), *arguments], env=environment
    )


def test_a_line_to_read_tells_when_what_who_about_what_from_where_and_what_came_of_it(path: Path) -> None:
    """Two spaces in between."""
    shown = run(path.parent.parent, "--lines", "1")
    assert shown.exit_code == 0
    fields = shown.stdout.rstrip("\n").split("  ")
    assert fields[1:] == ["BatchGetImage", ALICE, "e", "127.0.0.1", "AccessDeniedException"]


def test_whoever_asks_for_what_is_not_there_is_told(path: Path) -> None:
    """And programs that read the records are not disturbed."""
    shown = run(path.parent.parent, "--principal", "user/nobody")
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr == f"{path} has no such record\n"


def test_records_are_shown_as_they_are(path: Path) -> None:
    """For programs."""
    shown = run(path.parent.parent, "--lines", "1", "--output", "json")
    assert shown.stdout.encode() == line("e", failed=True)


def test_what_terminals_obey_is_not_shown_to_them(path: Path) -> None:
    """It is in the record, escaped."""
    path.write_bytes(line("a\x1b[2Jb"))
    assert "a?[2Jb" in run(path.parent.parent).stdout
    assert "\x1b" not in run(path.parent.parent, "--output", "json").stdout


def test_a_log_on_standard_output_cannot_be_shown(tmp_path: Path) -> None:
    """It says where it is."""
    shown = run(tmp_path, MOORAGE_AUDIT_FILE="-")
    assert (shown.exit_code, "standard output" in shown.output) == (1, True)


def test_a_log_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    """By its name."""
    shown = run(tmp_path)
    assert shown.exit_code == 1
    assert "audit.log cannot be read: No such file or directory" in shown.output
