"""Which tags of a repository may be moved to another image.

ECR: a repository is mutable or immutable as a whole, and exclusion filters turn that round for the tags they match.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from moorage.domain.errors import InvalidParameter
from moorage.rules import wildcards

MAX_FILTERS: Final = 5
MAX_WILDCARDS: Final = 2

_FILTER: Final = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
_PATH: Final = "imageTagMutabilityExclusionFilters"


class TagMutability(Enum):
    """A repository's ``imageTagMutability``, in ECR's words."""

    MUTABLE = "MUTABLE"
    IMMUTABLE = "IMMUTABLE"
    IMMUTABLE_WITH_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"
    MUTABLE_WITH_EXCLUSION = "MUTABLE_WITH_EXCLUSION"

    @property
    def takes_filters(self) -> bool:
        """Whether the setting means nothing without exclusion filters."""
        return self in {TagMutability.IMMUTABLE_WITH_EXCLUSION, TagMutability.MUTABLE_WITH_EXCLUSION}


@dataclass(frozen=True, slots=True)
class ExclusionFilter:
    """One exclusion filter: a whole-tag pattern with ``*``. WILDCARD is the only type there is."""

    filter: str
    filter_type: str = "WILDCARD"


def is_immutable(setting: TagMutability, filters: Iterable[ExclusionFilter], tag: str) -> bool:
    """Whether this tag, once given to an image, stays there."""
    match setting:
        case TagMutability.MUTABLE:
            return False
        case TagMutability.IMMUTABLE:
            return True
        case TagMutability.IMMUTABLE_WITH_EXCLUSION:
            return not _is_excluded(filters, tag)
        case TagMutability.MUTABLE_WITH_EXCLUSION:
            return _is_excluded(filters, tag)


def check_filters(setting: TagMutability, filters: Sequence[ExclusionFilter]) -> None:
    """Refuse filters that do not fit the setting or are not well formed; none given is the empty sequence.

    Raises ``InvalidParameter`` with ECR's sentences; those about one filter's form are in the model's words.
    """
    if not setting.takes_filters:
        if filters:
            raise _refusal(
                f"ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to {setting.value}"
            )
        return
    if not filters:
        raise _refusal(
            f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {setting.value}"
        )
    if len(filters) > MAX_FILTERS:
        raise _refusal(f"Member must have length less than or equal to {MAX_FILTERS}")
    for position, exclusion in enumerate(filters, start=1):
        _check_filter(exclusion, f"{_PATH}.{position}.member")


def _is_excluded(filters: Iterable[ExclusionFilter], tag: str) -> bool:
    return any(wildcards.matches(exclusion.filter, tag) for exclusion in filters)


def _check_filter(exclusion: ExclusionFilter, path: str) -> None:
    if exclusion.filter_type != "WILDCARD":
        raise InvalidParameter(
            path=f"{path}.filterType", constraint="Member must satisfy enum value set: [WILDCARD]"
        )
    if not _FILTER.fullmatch(exclusion.filter):
        constraint = "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$"
        raise InvalidParameter(path=f"{path}.filter", constraint=constraint)
    if exclusion.filter.count("*") > MAX_WILDCARDS:
        constraint = f"Member must have at most {MAX_WILDCARDS} wildcards (*)"
        raise InvalidParameter(path=f"{path}.filter", constraint=constraint)


def _refusal(constraint: str) -> InvalidParameter:
    return InvalidParameter(path=_PATH, constraint=constraint)
