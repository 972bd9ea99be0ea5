"""The judge of the kill rounds: what it must let pass, and what it must not."""

import pytest

from tests.durability.journal import ABSENT, PRESENT, Journal, Thing

TAG = Thing("tag", "images", "latest")
IMAGE = Thing("image", "images", "sha256:1")


def acknowledged(journal: Journal, effects: dict[Thing, str]) -> None:
    """An operation that was answered."""
    journal.acknowledge(journal.begin(effects))


def test_lost_acknowledgement_is_broken() -> None:
    """What was acknowledged and is gone was promised."""
    journal = Journal()
    acknowledged(journal, {IMAGE: PRESENT})
    assert journal.settle({IMAGE: ABSENT})


def test_acknowledged_deletion_that_came_back_is_broken() -> None:
    """A deletion is a promise too."""
    journal = Journal()
    acknowledged(journal, {IMAGE: PRESENT})
    acknowledged(journal, {IMAGE: ABSENT})
    assert journal.settle({IMAGE: PRESENT})


def test_value_nobody_gave_is_broken() -> None:
    """Nothing appears by itself."""
    assert Journal().settle({TAG: "sha256:9"})


@pytest.mark.parametrize("seen", [ABSENT, PRESENT])
def test_unanswered_operation_may_have_happened_or_not(seen: str) -> None:
    """Its client was told nothing."""
    journal = Journal()
    journal.begin({IMAGE: PRESENT})
    assert journal.settle({IMAGE: seen}) == []


def test_half_of_an_unanswered_operation_is_broken() -> None:
    """A tag without its image's row, or the other way round, is half a push."""
    journal = Journal()
    journal.begin({TAG: "sha256:1", IMAGE: PRESENT})
    assert journal.settle({TAG: ABSENT, IMAGE: PRESENT})


def test_all_of_an_unanswered_operation_is_fine() -> None:
    """It was carried out, only its answer got lost."""
    journal = Journal()
    journal.begin({TAG: "sha256:1", IMAGE: PRESENT})
    assert journal.settle({TAG: "sha256:1", IMAGE: PRESENT}) == []


def test_either_of_two_operations_at_once_may_be_last() -> None:
    """Neither began after the other was answered."""
    journal = Journal()
    first, second = journal.begin({TAG: "sha256:1"}), journal.begin({TAG: "sha256:2"})
    journal.acknowledge(second)
    journal.acknowledge(first)
    assert journal.allowed(TAG) == {"sha256:1", "sha256:2"}


def test_replaced_value_is_broken() -> None:
    """The later operation began when the earlier one had been answered."""
    journal = Journal()
    acknowledged(journal, {TAG: "sha256:1"})
    acknowledged(journal, {TAG: "sha256:2"})
    assert journal.settle({TAG: "sha256:1"})


def test_what_was_settled_does_not_change_by_itself() -> None:
    """After a look the unanswered operation has happened or not, once and for all."""
    journal = Journal()
    journal.begin({IMAGE: PRESENT})
    journal.settle({IMAGE: ABSENT})
    assert journal.settle({IMAGE: PRESENT})
