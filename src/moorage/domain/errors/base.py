"""The class that all refusals are made of."""

from typing import ClassVar


class RegistryError(Exception):
    """The request cannot be carried out. Never raised itself."""

    #: Names of the facts that must be given when the error is made.
    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **facts: object) -> None:
        if set(facts) != set(self.fields):
            raise TypeError(f"{type(self).__name__} takes {self.fields}, not {tuple(facts)}")
        self.facts = facts
        super().__init__(self.__doc__)

    def __str__(self) -> str:
        return f"{self.__doc__} {self.facts}" if self.facts else str(self.__doc__)
