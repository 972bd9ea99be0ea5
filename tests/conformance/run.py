"""Runs an OCI distribution-spec conformance suite against a fresh server, and says what it found.

    python -m tests.conformance.run --suite PROGRAM --version 1.1
    python -m tests.conformance.run --suite PROGRAM --version 2023

The suite is a program built by ``.ci/run``. Version 2023 is the older suite, which reads other settings and
knows nothing of referrers; every other version is given to the suite as ``OCI_VERSION``. The exit status is 0
only if nothing failed and nothing was skipped but what EXPECTED_SKIPS names, each with its reason.
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

EXPECTED_SKIPS = {
    "sparse": "an index whose children are missing is refused, as ECR refuses it",
    "Get tag name from environment": "runs only where the tester pushes by hand",
    "Populate registry with test tags (no push)": "runs only where the tester pushes by hand",
    "Cross-mounting of nonexistent blob should yield session id": "runs only where the mount before it was refused",
    "automatic content discovery disabled": "the mount without a source is on; its counterpart runs",
}


@dataclass
class Results:
    """Test names by outcome."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, junit: Path) -> "Results":
        """What a JUnit report says; a suite that wrote none raises ``FileNotFoundError``."""
        results = cls()
        for case in ET.parse(junit).iter("testcase"):
            children = {child.tag for child in case}
            outcome = (
                results.failed
                if children & {"failure", "error"}
                else results.skipped
                if "skipped" in children
                else results.passed
            )
            outcome.append(case.get("name", "?"))
        return results

    @property
    def unexpected_skips(self) -> list[str]:
        """Skipped tests that no entry of EXPECTED_SKIPS explains."""
        return [
            name for name in self.skipped if not any(part.lower() in name.lower() for part in EXPECTED_SKIPS)
        ]

    @property
    def fine(self) -> bool:
        """Something ran, nothing failed, nothing was skipped without a reason."""
        return bool(self.passed) and not self.failed and not self.unexpected_skips


def suite_environment(served: Served, version: str, password: str) -> dict[str, str]:
    """The settings that the suite reads from its environment."""
    own = {"OCI_USERNAME": "AWS", "OCI_PASSWORD": password}
    if version == "2023":
        own |= {
            "OCI_ROOT_URL": served.url,
            "OCI_NAMESPACE": REPOSITORIES[0],
            "OCI_CROSSMOUNT_NAMESPACE": REPOSITORIES[1],
            "OCI_AUTOMATIC_CROSSMOUNT": "1",
            "OCI_DELETE_MANIFEST_BEFORE_BLOBS": "1",
            "ACK_GINKGO_DEPRECATIONS": "1.16.5",
        }
        own |= {f"OCI_TEST_{part}": "1" for part in ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")}
    else:
        own |= {
            "OCI_REGISTRY": served.address,
            "OCI_TLS": "disabled",
            "OCI_REPO1": REPOSITORIES[0],
            "OCI_REPO2": REPOSITORIES[1],
            "OCI_VERSION": version,
        }
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | own


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
    """Start a server, run the suite in ``directory`` and read its report."""
    with serve(directory) as served:
        environment = suite_environment(served, version, prepare(served))
        with (directory / "suite.log").open("wb") as output:
            subprocess.run(
                [suite],
                cwd=directory,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SUITE_SECONDS,
                check=False,  # the report says what failed
            )
    reports = [*directory.glob("junit.xml"), *directory.glob("results/junit.xml")]
    if not reports:
        raise RuntimeError(f"the suite wrote no report\n{tail(directory / 'suite.log')}")
    return Results.read(reports[0])


def summary(results: Results, version: str) -> str:
    """One line of counts, and one for every test that is not as it should be."""
    counts = f"{len(results.passed)} passed, {len(results.failed)} failed, {len(results.skipped)} skipped"
    lines = [f"OCI conformance {version}: {counts}"]
    lines += [f"  FAILED   {name}" for name in results.failed]
    lines += [f"  SKIPPED  {name}" for name in results.unexpected_skips]
    return "\n".join(lines if results.passed else [*lines, "  nothing ran"])


def main() -> int:
    """Parse arguments, run, keep the logs where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--suite", type=Path, required=True, help="the suite's program")
    parser.add_argument("--version", default="1.1", help="1.0, 1.1, 1.1+dev, or 2023 for the older suite")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="moorage-conformance-"))
    fine = False
    try:
        results = run(arguments.suite.resolve(), arguments.version, directory)
        sys.stdout.write(summary(results, arguments.version) + "\n")
        fine = results.fine
    finally:
        if fine:
            shutil.rmtree(directory)
        else:
            sys.stderr.write(f"logs and report: {directory}\n")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
