"""How the runner reads the suite's report: an outcome that is not success must not be counted as one."""

from pathlib import Path

import pytest

from tests.conformance.run import Results


def read(directory: Path, case: str) -> Results:
    """The results of a report with this one test case, of a suite that ended well."""
    report = directory / "junit.xml"
    report.write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    results = Results(is_content=True)
    results.read(report)
    return results


@pytest.mark.parametrize("status", ['status="failure"', 'status="error"', 'status="unheard-of"', ""])
def test_whatever_is_not_called_passed_is_a_failure(tmp_path: Path, status: str) -> None:
    """Also a word that nobody knows yet."""
    results = read(tmp_path, f'<testcase name="a" {status}><system-out>why</system-out></testcase>')
    assert (results.passed, results.failed, results.is_fine) == ([], ["a"], False)


def test_a_skip_is_not_fine(tmp_path: Path) -> None:
    """What is not run proves nothing."""
    results = read(tmp_path, '<testcase name="a" status="skipped"/><testcase name="b" status="passed"/>')
    assert (results.skipped, results.is_fine) == (["a"], False)


def test_a_suite_that_is_not_content_is_not_fine(tmp_path: Path) -> None:
    """Its exit status may know more than its report."""
    results = read(tmp_path, '<testcase name="a" status="passed"/>')
    results.is_content = False
    assert not results.is_fine
