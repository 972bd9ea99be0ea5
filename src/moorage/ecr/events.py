"""What the audit records of calls of the JSON API: the names and inputs are AWS's already (docs/audit.md)."""

from typing import Any

from moorage.auth import sigv4
from moorage.auth.tokens import DownloadClaims
from moorage.domain import audit
from moorage.domain.arn import RepositoryArn
from moorage.domain.audit import Note
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import (
    ArnInvalid,
    MalformedQuery,
    RegistryError,
    RegistryIdInvalid,
    RepositoryNameInvalid,
)
from moorage.domain.names import RegistryId, RepositoryName
from moorage.ecr import errors, sts_errors
from moorage.web.http import Request


def note_caller(note: Note, caller: Caller) -> None:
    """Who asks, and the registry that is meant as long as no other one is named."""
    note.caller = caller
    note.registry = RegistryKey(caller.account_id, caller.region)


def note_input(note: Note, event: str, given: dict[str, Any], caller: Caller) -> None:
    """What a proven caller asks for, with input that was validated."""
    note.event = event
    note.add(**given)
    try:
        note.registry = _registry(given, caller)
        note.repositories = [*_repositories(given, note.registry)]
    except (ArnInvalid, RegistryIdInvalid, RepositoryNameInvalid):
        return  # The operation will say so.


def _registry(given: dict[str, Any], caller: Caller) -> RegistryKey:
    named = given.get("registryId")
    return RegistryKey(caller.account_id if named is None else RegistryId.parse(named), caller.region)


def _repositories(given: dict[str, Any], registry: RegistryKey) -> list[RepositoryArn]:
    if "resourceArn" in given:
        return [RepositoryArn.parse(given["resourceArn"])]
    names = [given["repositoryName"]] if "repositoryName" in given else given.get("repositoryNames", [])
    return [RepositoryArn(registry.region, registry.registry_id, RepositoryName.parse(name)) for name in names]


def note_refusal(request: Request, error: RegistryError) -> None:
    """Why a call came to nothing, and whose key it claims to be signed with unless it is known who asks."""
    note = request.note
    note.refusal = error
    if note.caller is None:
        try:
            named = sigv4.claims(request.query_string, request.headers)
        except MalformedQuery:
            return
        note.claimed_key = "" if named is None else audit.claimed_key(named.access_key_id)


def name_refusal(note: Note, error: RegistryError) -> tuple[str, str] | None:
    """AWS's code and sentence for the refusal of a call, in the words of the API that it was for; None where AWS has none."""
    if note.source == audit.STS:
        answer = sts_errors.describe(error)
        return answer.code, answer.message
    return errors.name(error)


def note_download(note: Note, caller: Caller, claims: DownloadClaims) -> None:
    """What a download URL opens; its token is not kept."""
    registry = RegistryKey(RegistryId(claims.registry_id), claims.region)
    note.caller, note.registry = caller, registry
    name = RepositoryName(claims.repository_name)
    note.repositories = [RepositoryArn(registry.region, registry.registry_id, name)]
    note.add(registryId=registry.registry_id, repositoryName=name, layerDigest=claims.digest)
