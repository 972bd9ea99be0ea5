"""By what trust in a caller is judged."""

from typing import cast

import pytest

from moorage.domain.caller import Caller, RegistryKey, RequestFacts, Session
from moorage.domain.names import RegistryId
from moorage.metadata.transaction import Transaction
from moorage.services.conditions import RequestContext, circumstances

NOW = 1_700_000_000_000_000
ACCOUNT = RegistryId("000000000000")
SESSION = Session("ci", issued_at=NOW - 1_000_000, expires_at=NOW + 1)
KEYS = {
    "aws:currenttime",
    "aws:epochtime",
    "aws:requestedregion",
    "aws:securetransport",
    "aws:sourceip",
    "aws:tokenissuetime",
    "aws:useragent",
}


@pytest.mark.parametrize("session", [SESSION, None], ids=["a session", "a key"])
def test_trust_is_judged_by_all_that_is_known_of_a_request(session: Session | None) -> None:
    """The same condition keys as elsewhere, with the same values: one missing would be a way around a Deny."""
    facts = RequestFacts("id", "json", "127.0.0.1", True, "agent", NOW)
    caller = Caller(ACCOUNT, "arn:aws:iam::000000000000:root", "AKIA", "us-east-1", facts, session=session)
    # These keys are told without the database.
    nothing = cast("Transaction", None)
    context = RequestContext(nothing, caller, RegistryKey(ACCOUNT, "us-east-1"), None, {}, None)
    known = circumstances(facts, "us-east-1", session)
    assert known.keys() == KEYS - (set() if session else {"aws:tokenissuetime"})
    assert {key: context.get(key) for key in KEYS} == {key: known.get(key) for key in KEYS}
