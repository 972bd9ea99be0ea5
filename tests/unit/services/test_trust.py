"""By what trust in a caller is judged."""

from moorage.domain.caller import RequestFacts, Session
from moorage.services.conditions import _FACTS
from moorage.services.trust import circumstances

NOW = 1_700_000_000_000_000


def test_trust_is_judged_by_all_that_is_known_of_a_request() -> None:
    """The same condition keys as elsewhere: one that is missing here would be a way around a Deny."""
    facts = RequestFacts("id", "json", "127.0.0.1", True, "agent", NOW)
    session = Session("ci", issued_at=NOW, expires_at=NOW + 1)
    assert circumstances(facts, "us-east-1", session).keys() == _FACTS.keys()
