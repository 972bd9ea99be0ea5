"""Which tags may move, and which exclusion filters may be set."""

import pytest

from moorage.domain.errors import InvalidParameter
from moorage.rules.tag_mutability import ExclusionFilter, TagMutability, check_filters, is_immutable

_FILTERS = [ExclusionFilter("dev-*"), ExclusionFilter("latest")]
_PATH = "imageTagMutabilityExclusionFilters"


@pytest.mark.parametrize(
    ("setting", "excluded", "others"),
    [
        (TagMutability.MUTABLE, False, False),
        (TagMutability.IMMUTABLE, True, True),
        (TagMutability.IMMUTABLE_WITH_EXCLUSION, False, True),
        (TagMutability.MUTABLE_WITH_EXCLUSION, True, False),
    ],
)
def test_exclusion_filters_turn_the_setting_round(setting: TagMutability, excluded: bool, others: bool) -> None:
    """Tags that a filter matches as a whole are of the other kind, and only with an exclusion setting."""
    assert [is_immutable(setting, _FILTERS, tag) for tag in ("latest", "dev-", "dev-1")] == [excluded] * 3
    assert [is_immutable(setting, _FILTERS, tag) for tag in ("latest2", "mydev-1", "Latest")] == [others] * 3


@pytest.mark.parametrize(
    "setting", ["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"]
)
def test_settings_are_named_as_on_the_wire(setting: str) -> None:
    """All four of ECR's values are known."""
    assert TagMutability(setting).value == setting


@pytest.mark.parametrize(
    "setting", [TagMutability.MUTABLE_WITH_EXCLUSION, TagMutability.IMMUTABLE_WITH_EXCLUSION]
)
@pytest.mark.parametrize("patterns", [["*"], ["*-*"], ["a", "b", "c", "d", "e"], ["x" * 128], ["_.-A9*"]])
def test_check_filters_takes_what_the_service_takes(setting: TagMutability, patterns: list[str]) -> None:
    """One to five filters of up to 128 characters and two wildcards are fine."""
    check_filters(setting, [ExclusionFilter(pattern) for pattern in patterns])


@pytest.mark.parametrize("setting", [TagMutability.MUTABLE, TagMutability.IMMUTABLE])
def test_check_filters_takes_no_filters_for_the_plain_settings(setting: TagMutability) -> None:
    """Without exclusion none are needed."""
    check_filters(setting, [])


@pytest.mark.parametrize(
    ("setting", "filters", "path", "constraint"),
    [
        (
            TagMutability.MUTABLE,
            _FILTERS,
            _PATH,
            "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to MUTABLE",
        ),
        (
            TagMutability.IMMUTABLE,
            _FILTERS,
            _PATH,
            "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to IMMUTABLE",
        ),
        (
            TagMutability.IMMUTABLE_WITH_EXCLUSION,
            [],
            _PATH,
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION",
        ),
        (
            TagMutability.MUTABLE_WITH_EXCLUSION,
            [],
            _PATH,
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as MUTABLE_WITH_EXCLUSION",
        ),
        (
            TagMutability.MUTABLE_WITH_EXCLUSION,
            _FILTERS * 3,
            _PATH,
            "Member must have length less than or equal to 5",
        ),
        (
            TagMutability.MUTABLE_WITH_EXCLUSION,
            [*_FILTERS, ExclusionFilter("a", "PREFIX")],
            f"{_PATH}.3.member.filterType",
            "Member must satisfy enum value set: [WILDCARD]",
        ),
        (
            TagMutability.MUTABLE_WITH_EXCLUSION,
            [ExclusionFilter("a*b*c*")],
            f"{_PATH}.1.member.filter",
            "Member must have at most 2 wildcards (*)",
        ),
    ],
)
def test_check_filters_refuses_in_the_words_of_the_service(
    setting: TagMutability, filters: list[ExclusionFilter], path: str, constraint: str
) -> None:
    """What does not fit is refused with its place and ECR's sentence."""
    with pytest.raises(InvalidParameter) as refused:
        check_filters(setting, filters)
    assert refused.value.facts == {"path": path, "constraint": constraint}


@pytest.mark.parametrize("pattern", ["", "a b", "x" * 129, "v?", "a/b", "a\n", "*" * 1_000_000])
def test_check_filters_refuses_patterns_of_another_form(pattern: str) -> None:
    """Only characters of tags and the star, 1 to 128 of them, make a filter."""
    with pytest.raises(InvalidParameter) as refused:
        check_filters(TagMutability.MUTABLE_WITH_EXCLUSION, [ExclusionFilter(pattern)])
    assert refused.value.facts["path"] == f"{_PATH}.1.member.filter"
