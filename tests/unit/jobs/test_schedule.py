"""What becomes of a job that fails."""

import asyncio
from collections.abc import Callable

from structlog.testing import capture_logs
from structlog.typing import EventDict

from moorage.domain.errors import Unavailable
from moorage.jobs.schedule import Periodic, run_forever


def logged(failure: Callable[[], Exception]) -> list[EventDict]:
    """The lines of a job that fails twice and then works."""
    runs = 0
    stop = asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs <= 2:
            raise failure()
        stop.set()

    with capture_logs() as lines:
        asyncio.run(run_forever([Periodic("of_a_test", 0.001, run)], stop))
    assert runs == 3
    return list(lines)


def test_a_job_whose_database_is_away_logs_a_line_each_time_and_no_traceback() -> None:
    """An outage is no fault of the job; what is away is named."""
    lines = logged(lambda: Unavailable(what="the metadata database: it cannot be reached"))
    expected = {
        "event": "job_put_off",
        "log_level": "warning",
        "job": "of_a_test",
        "reason": "the metadata database: it cannot be reached",
    }
    assert lines == [expected, expected]


def test_a_job_that_fails_for_another_reason_logs_its_traceback() -> None:
    """And it is tried again all the same."""
    lines = logged(lambda: ValueError("a fault"))
    assert [(line["event"], line["exc_info"]) for line in lines] == [("job_failed", True)] * 2
