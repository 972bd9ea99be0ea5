"""What every check needs to know: whom to ask, where to write the outcome, and what the version asks for."""

from dataclasses import dataclass

from tests.conformance.suite.registry import Registry
from tests.conformance.suite.report import Report

VERSIONS = ("1.1", "1.1+dev")


@dataclass(frozen=True)
class Run:
    """One run against one registry, in two repositories that exist already."""

    registry: Registry
    report: Report
    repository: str
    other_repository: str
    version: str = "1.1"

    @property
    def is_dev(self) -> bool:
        """Whether what came after 1.1 is asked for: cancelling, tag parameters, digest headers everywhere."""
        return self.version == "1.1+dev"

    def blob(self, digest: str, repository: str = "") -> str:
        """Where a blob is read."""
        return f"/v2/{repository or self.repository}/blobs/{digest}"

    def uploads(self, repository: str = "") -> str:
        """Where an upload begins."""
        return f"/v2/{repository or self.repository}/blobs/uploads/"

    def manifest(self, reference: str) -> str:
        """Where a manifest is read and written, by tag or digest."""
        return f"/v2/{self.repository}/manifests/{reference}"

    @property
    def tags(self) -> str:
        """Where the tags are listed."""
        return f"/v2/{self.repository}/tags/list"

    def referrers(self, subject: str) -> str:
        """Where the referrers of a manifest are listed."""
        return f"/v2/{self.repository}/referrers/{subject}"
