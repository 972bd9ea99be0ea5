"""The form of STS's answers: XML, with what makes up each operation's result."""

from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from moorage.auth.sessions import TemporaryCredentials

VERSION: Final = "2011-06-15"
NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{VERSION}/"

#: The members of an element in order: names with texts, or with members of their own.
Members = list[tuple[str, "str | Members"]]


def answer(operation: str, result: Members, request_id: str) -> str:
    """The document that answers an operation."""
    return (
        f'<{operation}Response xmlns="{NAMESPACE}">\n'
        f"{_element(f'{operation}Result', result, 1)}"
        f"{_element('ResponseMetadata', [('RequestId', request_id)], 1)}"
        f"</{operation}Response>\n"
    )


def _element(name: str, content: "str | Members", depth: int) -> str:
    indent = "  " * depth
    if isinstance(content, str):
        return f"{indent}<{name}>{escape(printable(content))}</{name}>\n"
    inside = "".join(_element(member, value, depth + 1) for member, value in content)
    return f"{indent}<{name}>\n{inside}{indent}</{name}>\n"


def printable(text: str) -> str:
    """XML has no form for control characters; what a client sent may come back in a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def credentials(made: TemporaryCredentials) -> tuple[str, Members]:
    """The element Credentials. Times are UTC, down to the second."""
    expires_at = datetime.fromtimestamp(made.expires_at // 1_000_000, UTC)
    return (
        "Credentials",
        [
            ("AccessKeyId", made.access_key_id),
            ("SecretAccessKey", made.secret_access_key),
            ("SessionToken", made.session_token),
            ("Expiration", expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ],
    )
