"""What every text of a policy must be before it is kept: of IAM's grammar, and of a size that it bounds."""

from typing import Final

from moorage.domain.errors import MalformedPolicyDocument, PolicyTooLarge
from moorage.rules.policy import document
from moorage.rules.policy.document import Kind, PolicyInvalid

#: Characters of any text, white space too, beyond which nothing is read (AWS: the pattern of ``policyDocument``).
MAX_LENGTH: Final = 131_072


def check(text: str, kind: Kind, limit: int, what: str) -> None:
    """Refuse a text that is no policy of this kind, or too long; ``what`` is what a refusal calls it.

    Raises ``MalformedPolicyDocument``, ``PolicyTooLarge``.
    """
    check_size(size_of(text), limit, what)
    if len(text) > MAX_LENGTH:
        raise PolicyTooLarge(what=what, limit=MAX_LENGTH)
    try:
        document.parse(text, kind)
    except PolicyInvalid as error:
        raise MalformedPolicyDocument(text=str(error)) from error


def check_size(size: int, limit: int, what: str) -> None:
    """Refuse texts that together have more characters. Raises ``PolicyTooLarge``."""
    if size > limit:
        raise PolicyTooLarge(what=what, limit=limit)


def size_of(text: str) -> int:
    """How much of a quota a text takes. AWS: white space does not count."""
    return sum(not character.isspace() for character in text)
