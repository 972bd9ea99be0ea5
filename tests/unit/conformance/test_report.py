"""Conformance checks: what a run is worth in the end."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.conformance.suite.expectations import Failure, Unsupported
from tests.conformance.suite.report import Api, Outcome, Report


def report(*unsupported: str) -> Report:
    """A report that prints nowhere."""
    return Report(frozenset(unsupported), io.StringIO())


def test_a_run_is_fine_when_everything_passed() -> None:
    """One passed check is enough."""
    run = report()
    with run.check("answers", Api.PING):
        pass
    assert run.fine


def test_a_run_is_not_fine_when_nothing_ran() -> None:
    """No checks prove nothing."""
    assert not report().fine


@pytest.mark.parametrize(
    "error", [Failure("no"), OSError("refused"), ValueError("no JSON"), KeyError("errors")]
)
def test_a_check_fails_when_anything_breaks_in_it(error: Exception) -> None:
    """A broken answer or connection is a failure of that check, and the run goes on."""
    run = report()
    with run.check("works", Api.PING):
        pass
    with run.check("breaks", Api.BLOB_GET) as check:
        raise error
    assert (check.outcome, check.passed, run.fine) == (Outcome.FAIL, False, False)


def test_a_skip_is_wrong_unless_it_was_announced() -> None:
    """What a registry does not support must have been said beforehand."""
    for run, is_fine in ((report(), False), (report("blob mount: anonymous"), True)):
        with run.check("answers", Api.PING):
            pass
        with run.check("mounts", Api.BLOB_MOUNT_ANONYMOUS):
            raise Unsupported("202")
        assert run.fine is is_fine


def test_the_summary_ends_with_the_counts() -> None:
    """Counts come last, what is wrong comes first, and each API has its line."""
    run = report()
    run.group("blobs")
    with run.check("head", Api.BLOB_HEAD):
        pass
    with run.check("get", Api.BLOB_GET):
        raise Failure("404")
    first, wrong, *rest, last = run.summary().splitlines()
    assert (first, wrong) == ("Not passed:", "  FAIL  blobs: get: 404")
    assert last == "1 passed, 1 failed, 0 skipped"
    assert [line.split()[-4:] for line in rest if line.startswith("  blob get.")] == [
        ["FAIL", "(1", "of", "1)"]
    ]


def test_junit_says_the_same(tmp_path: Path) -> None:
    """Other programs read the outcome of each check from the file."""
    run = report()
    run.group("blobs")
    with run.check("head", Api.BLOB_HEAD):
        pass
    with run.check("get", Api.BLOB_GET):
        raise Failure("404")
    with run.check("mount", Api.BLOB_MOUNT_SOURCE):
        raise Unsupported("202")
    run.write_junit(tmp_path / "junit.xml")
    cases = ET.parse(tmp_path / "junit.xml").iter("testcase")
    found = {case.get("name"): [child.tag for child in case] for case in cases}
    assert found == {"blobs: head": [], "blobs: get": ["failure"], "blobs: mount": ["skipped"]}
