"""Records of the audit log as ``moorage audit tail`` reads them: whose they are, and one in a line."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

#: What stands before the name of a user of the system, and of the subject of a token: another principal may have
#: the same name.
OPERATOR: Final = "operator:"
WEB_IDENTITY: Final = "web-identity:"

#: Who the parameters of IAM's calls and their kin are about, with what is shown before each.
_ABOUT: Final = {
    "userName": "user/",
    "roleName": "role/",
    "roleArn": "",
    "policyName": "policy/",
    "policyArn": "",
    "permissionsBoundary": "",
    "accessKeyId": "",
    "openIDConnectProviderArn": "",
    "url": "",
    "accountId": "account ",
    "accountName": "account ",
}


class _Issuer(msgspec.Struct, rename="camel"):
    arn: str = ""
    user_name: str = ""
    principal_id: str = ""


class _Session(msgspec.Struct, rename="camel"):
    session_issuer: _Issuer = msgspec.field(default_factory=_Issuer)


class Who(msgspec.Struct, rename="camel"):
    """Whose call it was (``userIdentity``)."""

    type: str
    arn: str = ""
    user_name: str = ""
    access_key_id: str = ""
    principal_id: str = ""
    account_id: str = ""
    identity_provider: str = ""
    session_context: _Session = msgspec.field(default_factory=_Session)

    def names(self) -> Iterator[str]:
        """Everything that it may be asked for by; some may be empty."""
        yield from (self.arn, self.access_key_id, self.principal_id, self.account_id, self.identity_provider)
        if self.type == "Operator":
            yield OPERATOR + self.user_name
            return
        yield from _short_names(self.arn)
        yield self.user_name
        issuer = self.session_context.session_issuer
        yield from (issuer.arn, issuer.user_name, issuer.principal_id)
        yield from _short_names(issuer.arn)
        if self.type == "WebIdentityUser":
            yield WEB_IDENTITY + self.user_name

    @property
    def shown(self) -> str:
        """The name in a line to read."""
        if self.type == "Operator":
            return OPERATOR + self.user_name
        if self.type == "WebIdentityUser":
            return WEB_IDENTITY + self.user_name
        if self.type == "AWSAccount":
            return self.arn or self.principal_id
        return self.arn or self.access_key_id or self.type


def _short_names(arn: str) -> Iterator[str]:
    """``user/team/alice`` and ``user/alice`` of a user's ARN, and the like; ``root`` of a root's."""
    resource = arn.rpartition(":")[2]
    kind, slash, name = resource.partition("/")
    yield resource
    if slash and kind in {"user", "role"}:
        yield f"{kind}/{name.rpartition('/')[2]}"


class Resource(msgspec.Struct):
    """What it was about, as far as that is a repository."""

    ARN: str


class Record(msgspec.Struct, rename="camel", kw_only=True):
    """What is looked at and shown of a record (``domain/audit``)."""

    event_time: str
    event_name: str
    user_identity: Who
    source_ip_address: str = msgspec.field(name="sourceIPAddress")
    request_parameters: dict[str, Any] | None
    response_elements: dict[str, Any] | None = None
    resources: list[Resource] = msgspec.field(default_factory=list)
    error_code: str = "ok"

    @property
    def about(self) -> str:
        """The repository that it is about; else the users, roles, policies and the like, by what each is."""
        parameters = self.request_parameters or {}
        for resource in self.resources:
            if name := resource.ARN.partition(":repository/")[2]:
                return name
        named = [parameters.get("repositoryName"), *_about(parameters), *self._made()]
        found = [str(name) for name in dict.fromkeys(map(str, filter(None, named)))]
        return " ".join(found) or "-"

    def _made(self) -> Iterator[str]:
        """What has its name from the call: a new key, a new account."""
        elements = self.response_elements or {}
        for member, name, before in (("accessKey", "accessKeyId", ""), ("account", "id", "account ")):
            made = elements.get(member)
            if isinstance(made, dict) and made.get(name):
                yield f"{before}{made[name]}"


def _about(parameters: dict[str, Any]) -> Iterator[str]:
    for name, before in _ABOUT.items():
        if parameters.get(name):
            yield f"{before}{parameters[name]}"


def render(record: Record) -> str:
    """One record in a line: when, what, who, about what, from where, and what came of it."""
    parts = (
        record.event_time,
        record.event_name,
        record.user_identity.shown,
        record.about,
        record.source_ip_address or "-",
        record.error_code,
    )
    return "  ".join(map(_printable, parts))


def _printable(text: str) -> str:
    """What terminals obey is not shown to them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
