"""The condition keys that Moorage can tell. All others are unknown, and what rests on them fails closed."""

import re
from typing import Final

_KEYS: Final = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceip",
        "aws:tagkeys",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "ecr:accountsetting",
        "ecr:imagedigest",
        "ecr:imagetag",
        "sts:externalid",
        "sts:rolesessionname",
    }
)

#: Keys whose names end in the key of a tag.
_PREFIXES: Final = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "ecr:resourcetag/")

# A claim of an OIDC provider: its address without scheme, and the claim's name. A host of one word has a port, as it
# would look like a service of AWS otherwise.
_CLAIM: Final = re.compile(
    r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]{1,5})?|[a-z0-9-]+:[0-9]{1,5})(?:/[^:]*)?:[a-z0-9_.-]+"
)


def is_known(key: str, *, with_claims: bool = False) -> bool:
    """Whether Moorage can tell this key, given in small letters; with claims, also those of web identities."""
    if key in _KEYS:
        return True
    if key.startswith(_PREFIXES):
        return not key.endswith("/")
    return with_claims and _CLAIM.fullmatch(key) is not None
