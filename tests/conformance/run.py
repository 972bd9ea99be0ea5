"""Runs the official conformance suite of the OCI distribution-spec against a fresh server, and says what it found.

    python -m tests.conformance.run PROGRAM --version 1.1+dev

The suite is a program that ``.ci/run conformance`` builds. The exit status is 0 only if the suite itself is content,
nothing failed, and nothing was skipped.
"""

import argparse
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import boto3

from tests.serving import ACCOUNT, REGION, Served, serve, tail

REPOSITORIES = ("conformance/repo1", "conformance/repo2")
SUITE_SECONDS = 600


@dataclass
class Results:
    """Test names by outcome, and what the suite's own exit status says."""

    is_content: bool
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def read(self, junit: Path) -> None:
        """Sort the tests of a JUnit report by their ``status``; the suite writes no other sign of an outcome.

        A word for it that is not known counts as failed.
        """
        lists = {"passed": self.passed, "skipped": self.skipped}
        for case in ET.parse(junit).iter("testcase"):
            lists.get(case.get("status", ""), self.failed).append(case.get("name", "?"))

    @property
    def is_fine(self) -> bool:
        """Something ran, nothing failed, nothing was skipped."""
        return self.is_content and bool(self.passed) and not self.failed and not self.skipped


def suite_environment(served: Served, version: str, password: str) -> dict[str, str]:
    """The settings that the suite reads from its environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {
        "OCI_REGISTRY": served.address,
        "OCI_TLS": "disabled",
        "OCI_REPO1": REPOSITORIES[0],
        "OCI_REPO2": REPOSITORIES[1],
        "OCI_USERNAME": "AWS",
        "OCI_PASSWORD": password,
        "OCI_VERSION": version,
        "OCI_API_BLOBS_UPLOAD_CANCEL": "true",  # the suite leaves it out for 1.1, where it is optional
    }


def prepare(served: Served) -> str:
    """Create the two repositories and return a registry password, as a user of ECR would."""
    credentials = served.credentials
    client = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=served.url,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
    )
    for name in REPOSITORIES:
        client.create_repository(repositoryName=name)
    token = client.get_authorization_token(registryIds=[ACCOUNT])["authorizationData"][0]["authorizationToken"]
    user, password = base64.b64decode(token).decode().split(":", 1)
    if user != "AWS":
        raise RuntimeError(f"the token is for user {user!r}, not for AWS")
    return password


def run(suite: Path, version: str, directory: Path) -> Results:
    """Start a server, run the suite and read its report from ``directory``."""
    log = directory / "suite.log"
    with serve(directory) as served:
        environment = suite_environment(served, version, prepare(served))
        with log.open("wb") as output:
            ran = subprocess.run(
                [suite],
                cwd=directory,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SUITE_SECONDS,
                check=False,  # the report says what failed
            )
    report = directory / "results" / "junit.xml"
    if not report.exists():
        raise RuntimeError(f"the suite wrote no report\n{tail(log)}")
    results = Results(is_content=ran.returncode == 0)
    results.read(report)
    return results


def summary(results: Results, title: str) -> str:
    """One line of counts, and one for every test that is not as it should be."""
    counts = f"{len(results.passed)} passed, {len(results.failed)} failed, {len(results.skipped)} skipped"
    lines = [f"{title}: {counts}"]
    lines += [f"  FAILED   {name}" for name in results.failed]
    lines += [f"  SKIPPED  {name}" for name in results.skipped]
    if not results.is_content:
        lines.append("  the suite ended with an error of its own")
    return "\n".join(lines if results.passed else [*lines, "  nothing ran"])


def main() -> int:
    """Parse arguments, run, keep the logs where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("suite", type=Path, help="the suite's program")
    parser.add_argument("--version", default="1.1", choices=("1.1", "1.1+dev"))
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="moorage-conformance-"))
    is_fine = False
    try:
        results = run(arguments.suite.resolve(), arguments.version, directory)
        sys.stdout.write(summary(results, f"Official suite {arguments.version}") + "\n")
        is_fine = results.is_fine
    finally:
        if is_fine:
            shutil.rmtree(directory)
        else:
            sys.stderr.write(f"logs and report: {directory}\n")
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
