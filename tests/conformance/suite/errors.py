"""The entrance, who may not enter, names that cannot be, and the form of every refusal of the run."""

from tests.conformance.suite import expectations
from tests.conformance.suite.expectations import expect
from tests.conformance.suite.registry import Registry
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run


def check_ping(run: Run) -> None:
    """GET /v2/ says that the specification is kept; whoever may not enter is told how to."""
    run.report.group("ping")
    with run.report.check("GET /v2/", Api.PING):
        expectations.status(run.registry.send("GET", "/v2/"), 200)
    with run.report.check("without credentials: 200, or 401 and a challenge", Api.PING):
        answer = Registry(run.registry.url).send("GET", "/v2/")
        expectations.status(answer, 200, 401)
        if answer.status == 401:
            expectations.header(answer, "WWW-Authenticate")
            expectations.error_code(answer, "UNAUTHORIZED", "DENIED")


def check_errors(run: Run) -> None:
    """Names that no repository can have, and what was wrong with the refusals of the whole run."""
    run.report.group("errors")
    for invalid in ("Upper/case", "dot..dot", "-dash"):
        with run.report.check(f"repository {invalid}: 400 or 404", Api.ERRORS):
            answer = run.registry.send("GET", f"/v2/{invalid}/tags/list")
            expectations.status(answer, 400, 404)
            expectations.error_code(answer, "NAME_INVALID", "NAME_UNKNOWN")
    besides = f" (and {', '.join(sorted(run.registry.own_codes))})" if run.registry.own_codes else ""
    with run.report.check(f"every error code and Warning is a specified one{besides}", Api.ERRORS):
        remarks = run.registry.remarks
        expect(not remarks, "; ".join(f"{fault} ({answer})" for fault, answer in remarks.items()))
