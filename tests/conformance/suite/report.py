"""What was checked and what came of it: by group while it runs, by API at the end, as JUnit for other programs."""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path
from typing import TextIO

from tests.conformance.suite.expectations import Failure, Unsupported


class Api(StrEnum):
    """The parts of the API that are reported one by one, in the order of the report."""

    PING = "ping"
    BLOB_POST_ONLY = "blob push: post only"
    BLOB_POST_PUT = "blob push: post, put"
    BLOB_PATCH_CHUNKED = "blob push: patch, chunked"
    BLOB_PATCH_STREAM = "blob push: patch, stream"
    BLOB_MOUNT_SOURCE = "blob mount: with source"
    BLOB_MOUNT_ANONYMOUS = "blob mount: anonymous"
    BLOB_CANCEL = "blob push: cancel"
    BLOB_HEAD = "blob head"
    BLOB_GET = "blob get"
    BLOB_RANGE = "blob get: range"
    BLOB_DELETE = "blob delete"
    BLOB_DELETE_ATOMIC = "blob delete: at once"
    MANIFEST_PUT_TAG = "manifest put: tag"
    MANIFEST_PUT_DIGEST = "manifest put: digest"
    MANIFEST_PUT_TAG_PARAMETER = "manifest put: tag parameter"
    MANIFEST_PUT_SUBJECT = "manifest put: subject"
    MANIFEST_HEAD_TAG = "manifest head: tag"
    MANIFEST_HEAD_DIGEST = "manifest head: digest"
    MANIFEST_GET_TAG = "manifest get: tag"
    MANIFEST_GET_DIGEST = "manifest get: digest"
    MANIFEST_DELETE = "manifest delete"
    MANIFEST_DELETE_ATOMIC = "manifest delete: at once"
    TAG_LIST = "tag list"
    TAG_DELETE = "tag delete"
    TAG_DELETE_ATOMIC = "tag delete: at once"
    REFERRERS = "referrers"
    ERRORS = "errors"


class Outcome(StrEnum):
    """What came of a check."""

    PASS = "pass"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass
class Check:
    """One check: which group it is of, which APIs it speaks for, what came of it and why."""

    group: str
    name: str
    apis: tuple[Api, ...]
    outcome: Outcome = Outcome.PASS
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return self.outcome is Outcome.PASS


@dataclass
class Report:
    """All checks of a run. ``unsupported`` names the APIs that the registry is known not to have."""

    unsupported: frozenset[str] = frozenset()
    output: TextIO = field(default_factory=lambda: sys.stdout)
    checks: list[Check] = field(default_factory=list)
    _group: str = ""

    def group(self, name: str) -> None:
        """The checks that follow belong to this group."""
        self._group = name
        self.output.write(f"\n{name}\n")

    @contextmanager
    def check(self, name: str, *apis: Api) -> Iterator[Check]:
        """A check: it passes unless its block says otherwise, and what breaks in it stays in it."""
        check = Check(self._group, name, apis)
        try:
            yield check
        except Unsupported as lack:
            check.outcome, check.reason = Outcome.SKIP, str(lack)
        except (Failure, OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            check.outcome, check.reason = Outcome.FAIL, str(error) or type(error).__name__
            if not isinstance(error, Failure):
                check.reason = f"{type(error).__name__}: {check.reason}"
        self.checks.append(check)
        self.output.write(f"  {check.outcome}  {name}\n")
        if not check.passed:
            self.output.write(f"        {check.reason}\n")

    def count(self, outcome: Outcome) -> int:
        """How many checks came out so."""
        return sum(check.outcome is outcome for check in self.checks)

    @property
    def fine(self) -> bool:
        """Something passed, nothing failed, and nothing was skipped but what the registry is known not to have."""
        return bool(self.count(Outcome.PASS)) and not any(map(self._is_wrong, self.checks))

    def _is_wrong(self, check: Check) -> bool:
        explained = check.outcome is Outcome.SKIP and bool(self.unsupported & set(check.apis))
        return not check.passed and not explained

    def summary(self) -> str:
        """What was not passed, each API in a line, and the counts."""
        wrong = [check for check in self.checks if not check.passed]
        lines = [f"  {check.outcome}  {check.group}: {check.name}: {check.reason}" for check in wrong]
        lines = ["Not passed:", *lines, ""] if wrong else []
        lines += ["By API:", *(f"  {api:.<32} {self._of(api)}" for api in Api), ""]
        passed, failed, skipped = (self.count(o) for o in (Outcome.PASS, Outcome.FAIL, Outcome.SKIP))
        return "\n".join([*lines, f"{passed} passed, {failed} failed, {skipped} skipped"])

    def _of(self, api: Api) -> str:
        found = [check.outcome for check in self.checks if api in check.apis]
        if not found:
            return "not asked"
        worst = next(o for o in (Outcome.FAIL, Outcome.SKIP, Outcome.PASS) if o in found)
        return f"{worst} ({found.count(worst)} of {len(found)})"

    def write_junit(self, path: Path) -> None:
        """The checks as JUnit, for programs that read it."""
        suite = ET.Element("testsuite", name="moorage conformance", tests=str(len(self.checks)))
        for check in self.checks:
            case = ET.SubElement(suite, "testcase", classname=check.group, name=f"{check.group}: {check.name}")
            if check.outcome is Outcome.FAIL:
                ET.SubElement(case, "failure", message=check.reason)
            elif check.outcome is Outcome.SKIP:
                ET.SubElement(case, "skipped", message=check.reason)
        ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
