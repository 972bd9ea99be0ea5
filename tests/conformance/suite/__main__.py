"""The program: one registry, one version, one report. Exit status 0 only if all is well."""

import argparse
import sys
from pathlib import Path

from tests.conformance.suite import blobs, errors, management, manifests, referrers, tags
from tests.conformance.suite.content import ALGORITHMS
from tests.conformance.suite.data_sets import MAKERS, MAKERS_DEV
from tests.conformance.suite.registry import Registry
from tests.conformance.suite.report import Api, Report
from tests.conformance.suite.round_trip import check_data_set
from tests.conformance.suite.run import VERSIONS, Run


def check_all(run: Run) -> None:
    """Every group, in the order in which a registry is best understood."""
    errors.check_ping(run)
    run.report.group("empty repository")
    tags.check_empty(run)
    referrers.check_empty(run)
    for algorithm in ALGORITHMS:
        blobs.check_blobs(run, algorithm)
    for make in (*MAKERS, *(MAKERS_DEV if run.is_dev else ())):
        check_data_set(run, make())
    manifests.check_manifests(run)
    tags.check_tags(run)
    referrers.check_referrers(run)
    management.check_deletes(run)
    errors.check_errors(run)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.suite", description=__doc__)
    parser.add_argument("--url", required=True, help="where the registry listens, as http://127.0.0.1:5050")
    parser.add_argument("--username", default="", help="who asks; without it no credentials are sent")
    parser.add_argument("--password-file", type=Path, help="a file that holds the password alone")
    parser.add_argument("--repository-1", default="conformance/repo1", help="exists, and is empty")
    parser.add_argument("--repository-2", default="conformance/repo2", help="exists; blobs are mounted from it")
    parser.add_argument("--version", choices=VERSIONS, default="1.1", help="of the specification")
    parser.add_argument("--junit", type=Path, help="write the checks to this file, as JUnit")
    parser.add_argument(
        "--own-code",
        action="append",
        default=[],
        metavar="CODE",
        help="an error code that is answered on purpose though the specification does not list it",
    )
    parser.add_argument(
        "--unsupported",
        action="append",
        default=[],
        choices=[api.value for api in Api],
        metavar="API",
        help="skips of this API, named as in the summary, are explained and do not count as wrong",
    )
    return parser.parse_args()


def main() -> int:
    """Run the checks and print what came of them."""
    arguments = parse()
    password = arguments.password_file.read_text().strip() if arguments.password_file else ""
    report = Report(frozenset(arguments.unsupported))
    registry = Registry(arguments.url.rstrip("/"), arguments.username, password, frozenset(arguments.own_code))
    run = Run(registry, report, arguments.repository_1, arguments.repository_2, arguments.version)
    check_all(run)
    sys.stdout.write(f"\n{report.summary()}\n")
    if arguments.junit:
        report.write_junit(arguments.junit)
    return 0 if report.fine else 1


if __name__ == "__main__":
    sys.exit(main())
