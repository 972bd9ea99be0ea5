"""Runs a conformance suite of the OCI distribution-spec against a fresh server, and says what it found.

    python -m tests.conformance.run --version 1.1
    python -m tests.conformance.run --suite PROGRAM --version 1.1+dev

Without a program it runs our own checks, ``tests.conformance.suite``. The official suite is a program that
``.ci/run`` builds. The exit status is 0 only if nothing failed and nothing was skipped but what EXPECTED_SKIPS
names, each with its reason; our own checks skip nothing.
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
ROOT = Path(__file__).parents[2]

EXPECTED_SKIPS = {
    "sparse": "an index whose children are missing is refused, as ECR refuses it",
}

OWN_CODES = {"TAG_INVALID": "ECR's code for a tag that cannot be written; the specification has none for tags"}


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


def own_suite(served: Served, version: str, password_file: Path, report: Path) -> list[str]:
    """The command line of our own checks."""
    first, second = REPOSITORIES
    command = [sys.executable, "-m", "tests.conformance.suite", "--url", served.url, "--version", version]
    command += ["--username", "AWS", "--password-file", str(password_file)]
    command += [part for code in OWN_CODES for part in ("--own-code", code)]
    return [*command, "--repository-1", first, "--repository-2", second, "--junit", str(report)]


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


def run(suite: Path | None, version: str, directory: Path) -> Results:
    """Start a server, run the suite (our own where none is given) and read its report from ``directory``."""
    with serve(directory) as served:
        password = prepare(served)
        (directory / "password").write_text(password)
        own = own_suite(served, version, directory / "password", directory / "junit.xml")
        with (directory / "suite.log").open("wb") as output:
            subprocess.run(
                [suite] if suite else own,
                cwd=directory if suite else ROOT,
                env=suite_environment(served, version, password) if suite else None,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SUITE_SECONDS,
                check=False,  # the report says what failed
            )
    reports = [*directory.glob("junit.xml"), *directory.glob("results/junit.xml")]
    if not reports:
        raise RuntimeError(f"the suite wrote no report\n{tail(directory / 'suite.log')}")
    return Results.read(reports[0])


def by_api(log: Path) -> str:
    """What our own checks say of each API, from the end of their log."""
    return "\n".join(line for line in tail(log).splitlines() if line.startswith("  ") and ".... " in line)


def summary(results: Results, title: str) -> str:
    """One line of counts, and one for every test that is not as it should be."""
    counts = f"{len(results.passed)} passed, {len(results.failed)} failed, {len(results.skipped)} skipped"
    lines = [f"{title}: {counts}"]
    lines += [f"  FAILED   {name}" for name in results.failed]
    lines += [f"  SKIPPED  {name}" for name in results.unexpected_skips]
    return "\n".join(lines if results.passed else [*lines, "  nothing ran"])


def main() -> int:
    """Parse arguments, run, keep the logs where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--suite", type=Path, help="an official suite's program; our own checks without it")
    parser.add_argument("--version", default="1.1", choices=("1.1", "1.1+dev"))
    arguments = parser.parse_args()
    suite = arguments.suite.resolve() if arguments.suite else None
    title = f"{'Official suite' if suite else 'Own checks of OCI distribution'} {arguments.version}"
    directory = Path(tempfile.mkdtemp(prefix="moorage-conformance-"))
    fine = False
    try:
        results = run(suite, arguments.version, directory)
        if not suite:
            sys.stdout.write(by_api(directory / "suite.log") + "\n")
        sys.stdout.write(summary(results, title) + "\n")
        fine = results.fine
    finally:
        if fine:
            shutil.rmtree(directory)
        else:
            sys.stderr.write(f"logs and report: {directory}\n")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
