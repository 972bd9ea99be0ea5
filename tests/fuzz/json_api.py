"""Requests to the JSON API, made from the contract: every operation, right and wrong, signed and badly signed."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any, Final

from moorage.ecr.contract import OPERATIONS, SHAPES, TARGET_PREFIX
from moorage.ecr.operations import OPERATIONS as BUILT
from moorage.ecr.shapes import Kind, Shape
from tests.fuzz import values
from tests.fuzz.requests import Answer, Headers, Sent
from tests.fuzz.values import Known
from tests.support import signing
from tests.support.signing import Scope

HOST: Final = "localhost:5050"
ACCOUNTS: Final = ("000000000000", "111111111111", "999999999999")
SIGNED: Final = ("content-type", "host", "x-amz-date", "x-amz-target")
_UUID: Final = "0f0e0d0c-0b0a-4908-8706-050403020100"

#: Texts for the patterns of the contract, by shape. A test holds each against its pattern.
SAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "Base64": ("QVdTOng=",),
    "CredentialArn": ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecr-pullthroughcache/name",),
    "ImageTagMutabilityExclusionFilterValue": ("*", "v*", "latest", "a*b*c"),
    "KmsKeyForRepositoryCreationTemplate": ("", "arn:aws:kms:us-east-1:123456789012:key/abc"),
    "LayerDigest": (values.NOBODY, "md5:00"),
    "Prefix": ("ab", "team/app/", "ROOT"),
    "PrincipalArn": ("arn:aws:iam::123456789012:role/x",),
    "PullThroughCacheRuleRepositoryPrefix": ("ab", "docker-hub/", "ROOT"),
    "Region": ("us-east-1", "eu-west-1"),
    "RegistryId": ACCOUNTS,
    "ReplicationBackfillId": (_UUID,),
    "RepositoryFilterValue": ("ab", "prod/"),
    "RepositoryName": values.REPOSITORIES,
    "ScanningRepositoryFilterValue": ("*", "team/app*"),
    "SigningProfileArn": ("arn:aws:signer:us-east-1:123456789012:/signing-profiles/name",),
    "SigningRepositoryFilterValue": ("*", "ab"),
    "UploadId": (_UUID, _UUID.upper()),
}

#: Members that are pushed to their bounds elsewhere; here most requests shall come further.
_OFTEN_LEFT_OUT: Final = frozenset({"registryId", "nextToken", "maxResults", "encryptionConfiguration"})


class JsonRequests:
    """An endless row of requests. The same random numbers and answers make the same requests."""

    def __init__(self, random: Random, known: Known, key: tuple[str, str]) -> None:
        self._random = random
        self._known = known
        self._key = key
        self._names = sorted(OPERATIONS)
        self._built = sorted(BUILT)
        self._by_shape: dict[str, Callable[[], Any]] = {
            "ImageTag": lambda: random.choice(values.TAGS),
            "ImageDigest": lambda: random.choice(known.digests),
            "LayerDigest": lambda: random.choice(known.digests),
            "BatchedOperationLayerDigest": lambda: random.choice(known.digests),
            "UploadId": lambda: random.choice(known.upload_ids),
            "NextToken": lambda: random.choice(known.page_tokens),
            "ImageManifest": lambda: json.dumps(values.manifest(random, known)),
            "LayerPartBlob": lambda: base64.b64encode(random.choice(known.blobs)).decode(),
            "Arn": lambda: (
                f"arn:aws:ecr:us-east-1:{ACCOUNTS[0]}:repository/{random.choice(values.REPOSITORIES)}"
            ),
        }

    # --- One request -----------------------------------------------------------------------------------------

    def make(self) -> Sent:
        """The next request."""
        kind = self._random.random()
        if kind < 0.03:
            return self._elsewhere()
        if kind < 0.06:
            return self._sts()
        name = self._random.choice(self._built if self._random.random() < 0.8 else self._names)
        given = self.input_of(name)
        for _ in range(self._random.choice((0, 0, 1, 1, 1, 2, 3))):
            given = values.spoil(self._random, given)
        if 0.06 <= kind < 0.16:
            return self._by_query(name, given)
        body = values.dump(given)
        if self._random.random() < 0.1:
            body = values.spoil_bytes(self._random, body)
        return self.signed(name, body, is_spoiled=self._random.random() < 0.12)

    def learn(self, answer: Answer) -> None:
        """Remember what an answer tells, for later requests."""
        if answer.status != 200 or not answer.body.startswith(b"{"):
            return
        told, known = json.loads(answer.body), self._known
        if "uploadId" in told:
            known.upload_ids.append(told["uploadId"])
            known.lengths[told["uploadId"]] = told.get("lastByteReceived", -1) + 1
        if told.get("nextToken"):
            known.page_tokens.append(told["nextToken"])
        if "downloadUrl" in told:
            known.downloads.append("/" + told["downloadUrl"].split("/", 3)[3])
        if "layerDigest" in told:
            known.digests.append(told["layerDigest"])
        if "image" in told:
            known.digests.append(told["image"]["imageId"]["imageDigest"])

    # --- Inputs ----------------------------------------------------------------------------------------------

    def input_of(self, operation: str) -> Any:
        """An input that the contract allows."""
        given = self._value(SHAPES[OPERATIONS[operation].input])
        if operation == "UploadLayerPart":
            first = self._known.lengths.get(given["uploadId"], 0)
            size = len(base64.b64decode(given["layerPartBlob"]))
            given |= {"partFirstByte": first, "partLastByte": max(first + size - 1, 0)}
        return given

    def _value(self, shape: Shape) -> Any:
        random, special = self._random, self._by_shape.get(shape.name)
        if special is not None:
            return special()
        match shape.kind:
            case Kind.STRUCTURE:
                return self._structure(shape)
            case Kind.LIST:
                least = shape.minimum or 0
                count = random.randrange(least, min(shape.maximum or 3, least + 2) + 1)
                return [self._value(SHAPES[shape.element]) for _ in range(count)]
            case Kind.MAP:
                return {"key": self._value(SHAPES[shape.element])}
            case Kind.STRING:
                return self._string(shape)
            case Kind.BOOLEAN:
                return random.random() < 0.5
            case Kind.INTEGER | Kind.LONG:
                return random.randrange(shape.minimum or 0, (shape.maximum or 1000) + 1)
            case _:
                return random.randrange(2_000_000_000)

    def _structure(self, shape: Shape) -> dict[str, Any]:
        made = {}
        for name, of in shape.members.items():
            chance = 1.0 if name in shape.required else 0.1 if name in _OFTEN_LEFT_OUT else 0.4
            if self._random.random() < chance:
                made[name] = self._value(SHAPES[of])
        return made

    def _string(self, shape: Shape) -> str:
        if shape.values:
            return self._random.choice(shape.values)
        if shape.name in SAMPLES:
            return self._random.choice(SAMPLES[shape.name])
        least = max(shape.minimum or 0, 1)
        return self._random.choice("abcxyz019") * self._random.randrange(least, least + 8)

    # --- How it is sent --------------------------------------------------------------------------------------

    def _scope(self, service: str = "ecr") -> Scope:
        return Scope(*self._key, _written(int(time.time())), service=service)

    def signed(self, operation: str, body: bytes, *, is_spoiled: bool = False) -> Sent:
        """A call signed in its headers; a spoiled one mostly not well."""
        scope = self._scope()
        headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", HOST),
            ("x-amz-date", scope.moment),
            ("x-amz-target", f"{TARGET_PREFIX}.{operation}"),
        ]
        query: list[tuple[str, str]] = []
        if is_spoiled and self._random.random() < 0.2:
            query = [("Action", operation), (self._random.choice(values.HOSTILE_TEXTS[:4]), "x")]
        if is_spoiled and self._random.random() < 0.3:
            scope = self._other_scope(scope)
        headers.append(("authorization", signing.header_value(scope, headers, SIGNED, body, query)))
        headers.append(("content-length", str(len(body))))
        sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        if is_spoiled:
            sent = self._spoil_headers(sent)
        target = f"/?{signing.encode_query(query)}" if query else "/"
        return Sent("POST", target.encode(), sent, values.cut_up(self._random, body))

    def _other_scope(self, scope: Scope) -> Scope:
        hours = self._random.choice((0, -1, 1, -24 * 365, 24 * 365 * 100))
        moment = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y%m%dT%H%M%SZ")
        return Scope(
            self._random.choice((scope.access_key_id, "AKIAUNKNOWNUNKNOWNUN", "", "a" * 300, "\u00e9")),
            self._random.choice((scope.secret, "x" * 40)),
            self._random.choice((moment, "", "20260101", "99999999T999999Z")),
            self._random.choice(("us-east-1", "eu-west-1", "", "a" * 100, "x/y")),
            self._random.choice(("ecr", "ecr", "sts", "iam", "ecr-public", "")),
        )

    def _spoil_headers(self, headers: Headers) -> Headers:
        at = self._random.randrange(len(headers))
        name, value = headers[at]
        text = self._random.choice(values.HOSTILE_TEXTS).encode("latin-1", "replace").translate(None, b"\r\n\0")
        match self._random.randrange(7):
            case 0:
                return headers[:at] + headers[at + 1 :]
            case 1:
                return [*headers, (name, value)]
            case 2:
                return [*headers, (name, text)]
            case 3:
                return [*headers[:at], (name, text), *headers[at + 1 :]]
            case 4 if value:
                cut = self._random.randrange(len(value))
                return [*headers[:at], (name, value[:cut] + value[cut + 1 :]), *headers[at + 1 :]]
            case 5:
                extra = (
                    b"x-amz-content-sha256",
                    b"x-amz-security-token",
                    b"date",
                    b"content-encoding",
                    b"x-amz-target",
                )
                return [*headers, (self._random.choice(extra), text)]
            case _:
                return headers

    def _by_query(self, operation: str, given: Any) -> Sent:
        """A presigned call, its input in the query, as clients of the seeds make it."""
        parameters = [("Action", operation), ("Version", "2015-09-21")]
        for name, value in given.items() if isinstance(given, dict) else ():
            for one in value if isinstance(value, list) else [value]:
                text = one if isinstance(one, str) else self._random.choice((str(one), json.dumps(one)))
                parameters.append((_encodable(name), _encodable(text)))
        method = self._random.choice(("POST", "GET"))
        seconds = self._random.choice((60, 3600, 604_800, 0, -1, 10**12))
        query = signing.presigned_query(self._scope(), HOST, parameters, seconds, method)
        if self._random.random() < 0.2:
            query = self._spoil_query(query)
        return Sent(method, b"/?" + query.encode(), [(b"host", HOST.encode())])

    def _spoil_query(self, query: str) -> str:
        at = self._random.randrange(len(query))
        return self._random.choice(
            (
                query[:at],
                query[:at] + "%" + query[at:],
                query + "&" + query[at:],
                query[at:],
                "&" * 1_200 + query,
            )
        )

    def _sts(self) -> Sent:
        body = self._random.choice(
            (
                b"Action=GetCallerIdentity&Version=2011-06-15",
                b"Action=AssumeRole&Version=2011-06-15",
                b"Action=GetCallerIdentity",
                b"",
                b"&" * 1_200,
                self._random.randbytes(30),
            )
        )
        scope = self._scope(self._random.choice(("sts", "sts", "ecr", "iam")))
        headers = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", HOST),
            ("x-amz-date", scope.moment),
        ]
        names = [name for name, _ in headers]
        headers.append(("authorization", signing.header_value(scope, headers, names, body)))
        headers.append(("content-length", str(len(body))))
        sent = [(name.encode(), value.encode()) for name, value in headers]
        return Sent("POST", b"/", self._spoil_headers(sent) if self._random.random() < 0.4 else sent, (body,))

    def _elsewhere(self) -> Sent:
        random = self._random
        target = random.choice(
            (*self._known.downloads, "/", "/x", "//", "/downloads/", "/?X-Amz-Signature=x", "/v2")
        )
        if random.random() < 0.5:
            at = random.randrange(len(target))
            target = target[:at] + random.choice(("%", "/", "x", "&", "?", "=", "%ff")) + target[at + 1 :]
        headers = [(b"host", HOST.encode())]
        if random.random() < 0.3:
            headers.append(
                (b"range", random.choice((b"bytes=0-", b"bytes=5-1", b"bytes=-0", b"x", b"bytes=0-0,1-1")))
            )
        method = random.choice(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST"))
        return Sent(method, target.encode("latin-1", "replace"), headers)


@lru_cache(maxsize=2)
def _written(second: int) -> str:
    """A moment as it is signed; hundreds of requests are made in the same second."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def _encodable(text: str) -> str:
    """Lone surrogates do not go into a query."""
    return text.encode("utf-8", "replace").decode()
