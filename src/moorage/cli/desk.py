"""What the commands that look after identities share: whose account, which database, how a refusal is told."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Concatenate, Final, ParamSpec, TypeVar

import typer

from moorage.cli.changes import Change
from moorage.cli.flags import fail
from moorage.cli.serve import REFUSALS
from moorage.config import Settings
from moorage.domain.audit import Elements
from moorage.domain.caller import RegistryKey
from moorage.domain.errors import RegistryError, RegistryIdInvalid, Unavailable
from moorage.domain.iam import PrincipalKind
from moorage.domain.names import RegistryId
from moorage.metadata.transaction import Transaction
from moorage.rules.policy import document, keys
from moorage.rules.policy.document import Kind
from moorage.services.audit import Recording
from moorage.web.messages import SENTENCES, render
from moorage.wiring import DataDirectoryMissing, Desk, office

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

AccountOption = Annotated[
    str | None, typer.Option("--account", help="Account, twelve digits; without it the default one.")
]
PathOption = Annotated[str, typer.Option("--path", help="Where in the account's tree, as /team/.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; may be repeated.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="Name of a user.")]
RoleOption = Annotated[str | None, typer.Option("--role", help="Name of a role.")]

#: Entries that are read in one transaction.
PAGE: Final = 500

#: Bytes of a file with a policy beyond which it is none.
MAX_FILE: Final = 1024 * 1024


class Work:
    """Use cases on one account, each in a transaction of its own."""

    def __init__(self, desk: Desk, account: RegistryId) -> None:
        self.desk = desk
        self.account = account

    def write(
        self,
        change: Change[Result],
        use_case: Callable[Concatenate[Transaction, RegistryId, Arguments], Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Run a use case that changes something, with its record in the same transaction. Raises what it raises."""
        note = change.note(RegistryKey(self.account, self.desk.region))

        def described(result: Result) -> Elements:
            note.add(**change.learned(result))
            return change.answer(result)

        recording = Recording(note, described)
        return recording.change_now(self.desk.database, use_case, self.account, *args, **kwargs)

    def read(
        self,
        use_case: Callable[Concatenate[Transaction, RegistryId, Arguments], Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Run a use case that changes nothing. Raises what it raises."""
        return self.desk.database.read_now(use_case, self.account, *args, **kwargs)


def every(page_after: Callable[[str, int], list[Result]], key: Callable[[Result], str]) -> list[Result]:
    """All entries of a list; ``page_after`` reads those after a key, ``key`` is that of an entry."""
    found: list[Result] = []
    while page := page_after(key(found[-1]) if found else "", PAGE):
        found += page
    return found


@contextmanager
def at_work(settings: Settings, account: str | None = None) -> Iterator[Work]:
    """Use cases on an account, the default one without any; a refusal ends the program with a sentence."""
    try:
        number = RegistryId.parse(account if account is not None else settings.account_id)
    except RegistryIdInvalid:
        fail(f"account: {account!r} is not twelve digits")
    try:
        with office(settings) as desk:
            yield Work(desk, number)
    except Unavailable as error:
        fail(f"not now: {error.facts['what']}", code=1)
    except RegistryError as error:
        fail(render(SENTENCES[type(error)], error.facts), code=1)
    except (DataDirectoryMissing, *REFUSALS, OSError) as error:
        fail(str(error), code=1)


def one_of(user: str | None, role: str | None) -> tuple[PrincipalKind, str]:
    """Whom a command is about; ends the program unless exactly one is named."""
    if user is not None and role is None:
        return "user", user
    if role is None or user is not None:
        fail("one of --user and --role is needed")
    return "role", role


def pairs(given: list[str] | None, what: str = "a tag") -> list[tuple[str, str]]:
    """What is typed as ``key=value``, tags unless said otherwise; ends the program for one that is not."""
    split = [one.partition("=") for one in given or []]
    if not all(sign for _, sign, _ in split):
        fail(f"{what} is typed as KEY=VALUE")
    return [(key, value) for key, _, value in split]


def note_unknown_keys(text: str, kind: Kind) -> None:
    """Say of a policy that was taken which of its condition keys there are not: it will hardly do what was meant."""
    for key in document.parse(text, kind).unknown_keys:
        near = keys.nearest(key)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        typer.echo(
            f"note: there is no condition key {key[:100]!a}: it cannot be judged, so an Allow that asks for it never "
            f"applies and a Deny does{hint}",
            err=True,
        )


def read_document(place: str) -> str:
    """The text of a file, or of standard input for ``-``; ends the program when it cannot be read."""
    try:
        if place == "-":
            content = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with open(place, "rb") as file:  # noqa: PTH123 - the name is the user's own, and may be a pipe's
                content = file.read(MAX_FILE + 1)
        text = content.decode()
    except OSError as error:
        fail(f"{place} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{place} is not UTF-8 text")
    if len(content) > MAX_FILE:
        fail(f"{place} is too long to be a policy")
    return text
