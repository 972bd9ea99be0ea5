"""The condition keys that Moorage can tell. All others are unknown, and what rests on them fails closed."""

import difflib
import re
from typing import Final

#: As AWS writes them.
_NAMES: Final = frozenset(
    {
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalType",
        "aws:RequestedRegion",
        "aws:SecureTransport",
        "aws:SourceIp",
        "aws:TagKeys",
        "aws:TokenIssueTime",
        "aws:UserAgent",
        "aws:userid",
        "aws:username",
        "ecr:AccountSetting",
        "ecr:ImageDigest",
        "ecr:ImageTag",
        "sts:ExternalId",
        "sts:RoleSessionName",
    }
)

#: Keys whose names end in the key of a tag.
_FAMILIES: Final = frozenset({"aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/", "ecr:ResourceTag/"})

_KEYS: Final = frozenset(map(str.lower, _NAMES))
_PREFIXES: Final = tuple(map(str.lower, _FAMILIES))

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


def nearest(key: str) -> list[str]:
    """The keys that somebody may have meant who wrote one that is not known, the most alike first; often none."""
    family, slash, tag = key.partition("/")
    written = {name.lower(): name for name in sorted(_NAMES)}
    if slash:
        written = {name.lower().rstrip("/"): f"{name}{tag}" for name in sorted(_FAMILIES)}
    return [written[name] for name in difflib.get_close_matches(family.lower(), written, n=2)]
