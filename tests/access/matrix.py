"""A server with everybody of ``people`` in it, who ask for everything of ``routes``."""

import json
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from moorage.auth import tokens
from moorage.auth.tokens import RegistryTokenClaims
from moorage.domain.audit import Note
from moorage.domain.caller import Caller, Face, RegistryKey, RequestFacts, Session
from moorage.domain.digest import Digest
from moorage.domain.errors import AccessDenied, AuthenticationError, RegistryError
from moorage.domain.names import RegistryId, RepositoryName
from moorage.ecr.contract import OPERATIONS as CONTRACT
from moorage.ecr.contract import SHAPES
from moorage.ecr.dispatch import Call
from moorage.ecr.downloads import download_url, get_download
from moorage.ecr.operations import OPERATIONS
from moorage.metadata import accounts, repositories, resource_policies
from moorage.metadata import principals as principal_rows
from moorage.metadata.queries import Statement
from moorage.metadata.registries import put_setting
from moorage.metadata.tables import access_key, inline_policy, managed_policy, principal
from moorage.metadata.transaction import Transaction
from moorage.oci.face import DistributionApi
from moorage.oci.routes import BASE
from moorage.services import principals
from moorage.web.http import Message, Request
from tests.access.evaluating import Asked, Json, Who, World
from tests.access.people import APP, GONE, LIB, OURS, PEOPLE, REGION, arn
from tests.access.routes import ABSENT, Operation, Path
from tests.ecr.driver import KEY, OTHER_KEY, Driver
from tests.support.callers import proven

REGISTRY = RegistryKey(RegistryId(OURS), REGION)
_TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole"}]}'
_ROOT_KEYS = {"root": KEY.access_key_id, "stranger": OTHER_KEY.access_key_id}
#: What changes the policies or repositories that decide about the next request.
_CHANGES = {"CreateRepository", "DeleteRegistryPolicy", "DeleteRepositoryPolicy"}


Headers = list[tuple[bytes, bytes]]


class Matrix:
    """One server, one world at a time."""

    def __init__(self, directory: FilePath) -> None:
        self.driver = Driver(directory, anonymous_pull=True, quotas={"open_uploads": 0})
        self.driver.create(APP, LIB)
        for name in (APP, LIB):
            self.driver.push(name, name, "v1")
        self.driver.ok("TagResource", resourceArn=arn(APP), tags=[{"Key": "team", "Value": "web"}])
        self.api = DistributionApi(self.driver.context)
        for who in PEOPLE:
            self.driver.database.write_now(_enroll, who)
        self._world = World("")

    def enter(self, world: World) -> None:
        """Let these policies hold."""
        self._world = world
        self.driver.database.write_now(_put_policies, world)

    # --- Asking ----------------------------------------------------------------------------------------------

    async def ask_operation(self, who: Who, name: str, operation: Operation, repository: str | None) -> bool:
        """Whether an operation of the JSON API is let through."""
        given = dict(operation.given)
        if repository is not None:
            given |= _named(operation, repository)
            if "registryId" in SHAPES[CONTRACT[name].input].members:
                given["registryId"] = OURS
        caller = self._caller(who, "json")
        try:
            await OPERATIONS[name](Call(caller, self.driver.context, Note(caller.request)), given)
        except (AccessDenied, AuthenticationError):
            return False
        except RegistryError:
            return True
        if name in _CHANGES:
            self.enter(self._world)
        return True

    async def ask_download(self, who: Who, repository: str) -> bool:
        """Whether a download URL that was given out to somebody opens the repository to them now."""
        caller = self._caller(who, "json")
        name = RepositoryName(repository)
        url = download_url(self.driver.context, caller, REGISTRY, name, Digest.parse(ABSENT))
        target = url.removeprefix(self.driver.context.hosts.proxy_endpoint(REGISTRY))
        response = await get_download(self.driver.context, self._request("GET", target, []))
        assert response.status in {403, 404}
        return response.status == 404

    async def ask_path(self, who: Who, method: str, shape: str, path: Path, repository: str | None) -> bool:
        """Whether a request to ``/v2/`` is let through."""
        target = f"/v2/{path.end}" if repository is None else f"/v2/{repository}/{path.end}"
        request = self._request(method, target, self._headers(who, path), path.body)
        response = await self.api.handle(request)
        assert response.status < 500, (who.name, method, target, response.body)
        return response.status != 401 and (response.status, response.error_code) != (403, "DENIED")

    def _headers(self, who: Who, path: Path) -> Headers:
        headers = [
            (b"host", b"localhost:5050"),
            (b"content-length", b"%d" % len(path.body)),
            (b"content-type", path.content_type.encode()),
        ]
        if not who.is_anonymous:
            headers.append((b"authorization", self._password(who)))
        return headers

    def _request(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Request:
        raw, _, query = target.partition("?")
        scope = {
            "method": method,
            "scheme": "http",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": headers,
        }
        messages = iter([{"type": "http.request", "body": body}])

        async def receive() -> Message:
            return next(messages)

        return Request(scope, receive, self._facts("v2"))

    def _password(self, who: Who) -> bytes:
        caller = self._caller(who, "v2")
        claims = RegistryTokenClaims.of(caller, self.driver.now, self.driver.now + 1_000_000)
        token = tokens.issue_registry_token(self.driver.context.keyring, claims)
        return b"Basic " + tokens.as_authorization_token(token).encode()

    def _caller(self, who: Who, face: Face) -> Caller:
        facts, account = self._facts(face), RegistryId(who.names["account"])
        if "session" in who.names:
            policies = tuple(json.dumps(policy) for policy in who.session)
            role = who.names["role"]
            session = Session(
                who.name,
                facts.received_at + 1,
                facts.received_at + 2,
                role,
                policies,
                unique_id=self._unique_id(account, role),
            )
            arn, unique_id = who.names["session"], session.unique_id
            return Caller(account, arn, "ASIA", REGION, facts, session=session, unique_id=unique_id)
        key = _ROOT_KEYS.get(who.name, f"AKIA{who.name}")
        arn = who.names.get("user", f"arn:aws:iam::{account}:root")
        return proven(self.driver.database, Caller(account, arn, key, REGION, facts))

    def _unique_id(self, account: RegistryId, role: str) -> str:
        name = role.rpartition("/")[2]
        found = self.driver.database.read_now(principals.get_principal, account, "role", name)
        return found.unique_id

    def _facts(self, face: Face) -> RequestFacts:
        return RequestFacts(
            "00000000-0000-4000-8000-000000000000", face, "127.0.0.1", False, "test", self.driver.now
        )


def facts_of(asked: Asked) -> dict[str, list[str]]:
    """What the condition keys say of every request, and of the tags of the repository."""
    facts = {
        "aws:sourceip": ["127.0.0.1"],
        "aws:securetransport": ["false"],
        "aws:useragent": ["test"],
        "aws:requestedregion": [REGION],
    }
    if asked.repository == APP:
        facts |= {"aws:resourcetag/team": ["web"], "ecr:resourcetag/team": ["web"]}
    return facts


def _named(operation: Operation, repository: str) -> Json:
    named: dict[str, Any] = {
        "repositoryName": repository,
        "repositoryNames": [repository],
        "resourceArn": arn(repository),
    }
    return {operation.on_repository: named[operation.on_repository]}


def _enroll(tx: Transaction, who: Who) -> None:
    """Make a user or role with its policies."""
    if who.is_anonymous or "root" in who.names:
        return
    account = RegistryId(who.names["account"])
    kind = "role" if "role" in who.names else "user"
    name = who.names[kind].rpartition("/")[2]
    if principal_rows.find_principal(tx, account, kind, name) is None:
        if kind == "role":
            principals.create_role(tx, account, name, _TRUST % account)
        else:
            principals.create_user(tx, account, name)
        _give(tx, who, _row_id(tx, account, kind, name))


def _row_id(tx: Transaction, account: str, kind: str, name: str) -> int:
    row = principal_rows.find_principal(tx, account, kind, name)
    assert row is not None
    return row.id


def _give(tx: Transaction, who: Who, principal_id: int) -> None:
    if "user" in who.names:
        accounts.add_key(tx, f"AKIA{who.name}", principal_id, b"sealed")
    if not who.is_somebody:
        off = access_key.update().where(access_key.c.id == f"AKIA{who.name}").values(is_active=0)
        tx.run(Statement(off))
    for number, policy in enumerate(who.identity):
        added = inline_policy.insert().values(
            principal_id=principal_id, name=f"p{number}", text=json.dumps(policy)
        )
        tx.run(Statement(added))
    if who.boundary is not None:
        _bound(tx, principal_id, who.boundary)


def _bound(tx: Transaction, principal_id: int, boundary: Json) -> None:
    added = managed_policy.insert().values(
        account_id=OURS,
        name="bound",
        path="/",
        unique_id="ANPA",
        text=json.dumps(boundary),
        created_at=1,
        updated_at=1,
    )
    tx.run(Statement(added))
    bound = principal.update().where(principal.c.id == principal_id)
    tx.run(Statement(bound.values(boundary=f"arn:aws:iam::{OURS}:policy/bound")))


def _put_policies(tx: Transaction, world: World) -> None:
    gone = repositories.find_repository(tx, REGISTRY, GONE)
    if gone is not None:
        repositories.mark_deleted(tx, gone.id)
    for name in (APP, LIB):
        row = repositories.find_repository(tx, REGISTRY, name)
        assert row is not None
        policy = world.repositories.get(name)
        resource_policies.put_repository_policy(
            tx, row.id, row.policy_id, None if policy is None else json.dumps(policy)
        )
    registry = None if world.registry is None else json.dumps(world.registry)
    put_setting(tx, REGISTRY, "REGISTRY_POLICY_SCOPE", "V1" if world.is_narrow else "V2")
    resource_policies.put_registry_policy(tx, REGISTRY, registry)


def repositories_asked(path: Path, shape: str) -> Iterator[str | None]:
    """The repositories that a route is asked about."""
    if shape == BASE or path.end == "_catalog":
        yield None
    else:
        yield from (APP, LIB, GONE)
