"""The upload of layers part by part, their availability, and download URLs."""

from base64 import b64encode
from hashlib import sha512
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from moorage.domain.errors import RegistryError, TooManyRequests, Unavailable
from moorage.metadata.queries import Statement
from moorage.metadata.tables import access_key
from moorage.metadata.transaction import Transaction
from tests.ecr.driver import (
    ACCOUNT,
    HOUR,
    KEY,
    OTHER_ACCOUNT,
    OTHER_KEY,
    SECOND,
    Answer,
    Driver,
    Sent,
    digest_of,
)

MISSING = "sha256:" + "0" * 64
PART = 5 * 1024 * 1024


@pytest.fixture
def app(driver: Driver) -> Driver:
    """A server with the repository ``app``."""
    driver.create("app")
    return driver


def start(driver: Driver) -> str:
    """Begin an upload."""
    upload_id: str = driver.ok("InitiateLayerUpload", repositoryName="app")["uploadId"]
    return upload_id


def add(driver: Driver, upload_id: str, first: int, data: bytes, **given: Any) -> Answer:
    """UploadLayerPart."""
    members: dict[str, Any] = {
        "repositoryName": "app",
        "uploadId": upload_id,
        "partFirstByte": first,
        "partLastByte": first + len(data) - 1,
        "layerPartBlob": b64encode(data).decode(),
    }
    return driver.call("UploadLayerPart", **members | given)


def complete(driver: Driver, upload_id: str, *digests: str, repository: str = "app") -> Answer:
    """CompleteLayerUpload."""
    return driver.call(
        "CompleteLayerUpload", repositoryName=repository, uploadId=upload_id, layerDigests=list(digests)
    )


# --- Upload --------------------------------------------------------------------------------------------------


def test_upload_in_parts(app: Driver) -> None:
    """Two parts become one layer; every answer says where the upload stands."""
    begun = app.ok("InitiateLayerUpload", repositoryName="app")
    assert begun["partSize"] == 10485760
    upload_id, data = begun["uploadId"], b"x" * PART + b"the end"
    base = {"registryId": ACCOUNT, "repositoryName": "app", "uploadId": upload_id}
    assert add(app, upload_id, 0, data[:PART]).json == base | {"lastByteReceived": PART - 1}
    assert add(app, upload_id, PART, data[PART:]).json == base | {"lastByteReceived": PART + 6}
    assert complete(app, upload_id, digest_of(data)).json == base | {"layerDigest": digest_of(data)}


def test_a_part_of_20_mebibytes_is_taken(app: Driver) -> None:
    """The largest part of the model fits into the body limit of this operation."""
    upload_id, data = start(app), bytes(20_971_520)
    assert add(app, upload_id, 0, data).status == 200
    assert complete(app, upload_id, digest_of(data)).status == 200


def test_a_larger_part_is_refused(app: Driver) -> None:
    """One byte more is against the model, a body beyond the limit is not even read."""
    upload_id = start(app)
    answer = add(app, upload_id, 0, bytes(20_971_521))
    assert answer.code == "InvalidParameterException"
    assert "'layerPartBlob' failed to satisfy constraint: 'Member must have length" in answer.message
    assert add(app, upload_id, 0, bytes(24 * 1024 * 1024)).code == "InvalidParameterException"


@pytest.mark.parametrize("first", [0, 9, 11])
def test_a_part_that_does_not_continue_is_refused(app: Driver, first: int) -> None:
    """Overlap and gap are told with the last good byte, and the upload lives on."""
    upload_id = start(app)
    add(app, upload_id, 0, b"0123456789")
    assert add(app, upload_id, first, b"abc").json == {
        "__type": "InvalidLayerPartException",
        "message": f"First byte of the layer part is {first} instead of 10",
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "uploadId": upload_id,
        "lastValidByteReceived": 9,
    }
    assert add(app, upload_id, 10, b"abc").json["lastByteReceived"] == 12


def test_a_part_of_another_length_than_announced_is_refused(app: Driver) -> None:
    """First and last byte must say how long the part is."""
    upload_id = start(app)
    answer = add(app, upload_id, 0, b"abc", partLastByte=3)
    assert answer.code == "InvalidLayerPartException"
    assert "lastValidByteReceived" not in answer.json
    assert add(app, upload_id, 0, b"abc").status == 200


def test_a_part_that_is_not_base64_is_refused(app: Driver) -> None:
    """Bad base64 is a malformed request."""
    assert add(app, start(app), 0, b"abc", layerPartBlob="a b=").code == "SerializationException"


@pytest.mark.threat(37)
def test_small_parts_are_refused_at_the_end(app: Driver) -> None:
    """ECR: all parts but the last have 5 MiB, told when the upload is completed."""
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    add(app, upload_id, 3, b"def")
    answer = complete(app, upload_id, digest_of(b"abcdef"))
    assert answer.json == {
        "__type": "LayerPartTooSmallException",
        "message": "All layer parts except the last part should be at least 5MB",
    }


@pytest.mark.threat(37)
def test_an_upload_without_parts_is_empty(app: Driver) -> None:
    """ECR: the JSON API makes no empty layers."""
    upload_id = start(app)
    assert complete(app, upload_id, digest_of(b"")).json == {
        "__type": "EmptyUploadException",
        "message": f"The upload with id '{upload_id}' in the repository with name 'app' in registry with id "
        f"'{ACCOUNT}' cannot be completed because it does not have any parts",
    }


def test_a_wrong_digest_leaves_the_upload_for_another_try(app: Driver) -> None:
    """Nothing is stored under a digest that is not the bytes', and the bytes are not lost."""
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    assert complete(app, upload_id, MISSING).code == "InvalidLayerException"
    assert complete(app, upload_id, digest_of(b"abc"), MISSING).code == "InvalidLayerException"
    assert complete(app, upload_id, digest_of(b"abc")).status == 200


@pytest.mark.parametrize("digest", ["sha256:abc", "SHA256:" + "a" * 64, "sha256:" + "A" * 64, "sha512:00"])
def test_a_near_miss_of_a_digest_is_not_ignored(app: Driver, digest: str) -> None:
    """A malformed sha256 is no digest of another algorithm."""
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    assert complete(app, upload_id, digest).code == "InvalidParameterException"


def test_digests_of_other_algorithms_are_ignored(app: Driver) -> None:
    """ECR: the answer is its own sha256."""
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    assert complete(app, upload_id, "tarsum.v1+sha256:00ff").json["layerDigest"] == digest_of(b"abc")


def test_a_layer_is_found_under_every_digest_given(app: Driver) -> None:
    """sha512 is verified too, and the layer then has both names."""
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    long = f"sha512:{sha512(b'abc').hexdigest()}"
    assert complete(app, upload_id, long).json["layerDigest"] == digest_of(b"abc")
    checked = app.ok(
        "BatchCheckLayerAvailability", repositoryName="app", layerDigests=[long, digest_of(b"abc")]
    )
    assert [one["layerAvailability"] for one in checked["layers"]] == ["AVAILABLE", "AVAILABLE"]


@pytest.mark.threat(37)
def test_a_layer_that_is_there_already_is_told_after_it_was_verified(app: Driver) -> None:
    """A client that pushes again takes this as success."""
    app.upload("app", b"abc")
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    assert complete(app, upload_id, digest_of(b"abc")).json == {
        "__type": "LayerAlreadyExistsException",
        "message": f"The layer with digest '{digest_of(b'abc')}' already exists in the repository with name "
        f"'app' in registry with id '{ACCOUNT}'",
    }


@pytest.mark.threat(37)
def test_a_finished_upload_is_gone(app: Driver) -> None:
    """An upload id is good for one layer."""
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    complete(app, upload_id, digest_of(b"abc"))
    assert complete(app, upload_id, digest_of(b"abc")).code == "UploadNotFoundException"
    assert add(app, upload_id, 3, b"d").code == "UploadNotFoundException"


def test_an_upload_belongs_to_its_repository(app: Driver) -> None:
    """Through another repository the upload does not exist."""
    app.create("other")
    upload_id = start(app)
    add(app, upload_id, 0, b"abc")
    answer = complete(app, upload_id, digest_of(b"abc"), repository="other")
    assert answer.json == {
        "__type": "UploadNotFoundException",
        "message": f"The upload with id '{upload_id}' in the repository with name 'other' in the registry with "
        f"id '{ACCOUNT}' does not exist",
    }
    assert add(app, upload_id, 3, b"d", repositoryName="other").code == "UploadNotFoundException"


def test_an_upload_of_another_account_is_out_of_reach(app: Driver) -> None:
    """Who knows an upload id of another account can do nothing with it."""
    upload_id = start(app)
    answer = add(app, upload_id, 0, b"abc", registryId=ACCOUNT)
    assert answer.status == 200
    given: dict[str, Any] = {
        "repositoryName": "app",
        "uploadId": upload_id,
        "layerDigests": [digest_of(b"abc")],
    }
    denied = app.call("CompleteLayerUpload", key=OTHER_KEY, registryId=ACCOUNT, **given)
    assert denied.code == "AccessDeniedException"
    assert app.call("CompleteLayerUpload", key=OTHER_KEY, **given).code == "RepositoryNotFoundException"
    assert complete(app, upload_id, digest_of(b"abc")).status == 200


@pytest.mark.parametrize("upload_id", ["x", "00000000-0000-0000-0000-00000000000g", ""])
def test_an_upload_id_must_be_a_uuid(app: Driver, upload_id: str) -> None:
    """Other texts are against the model."""
    assert complete(app, upload_id, MISSING).code == "InvalidParameterException"


@pytest.mark.threat(37)
def test_the_number_of_parts_is_limited(tmp_path: Path) -> None:
    """The quota is named in the refusal."""
    driver = Driver(tmp_path, quotas={"layer_parts": 1, "layer_bytes": 1000})
    try:
        driver.create("app")
        upload_id = start(driver)
        too_long = add(driver, upload_id, 0, bytes(1001))
        assert (too_long.code, "layer_bytes" in too_long.message) == ("LimitExceededException", True)
        add(driver, upload_id, 0, b"abc")
        answer = add(driver, upload_id, 3, b"d")
        assert (answer.code, "layer_parts" in answer.message) == ("LimitExceededException", True)
    finally:
        driver.close()


def test_large_parts_at_once(app: Driver) -> None:
    """Bodies that share the memory budget all get their turn."""
    ids = [start(app) for _ in range(6)]
    data = bytes(8 * 1024 * 1024)
    blob = b64encode(data).decode()
    sent = [
        app.sign(
            "UploadLayerPart",
            f'{{"repositoryName":"app","uploadId":"{one}","partFirstByte":0,'
            f'"partLastByte":{len(data) - 1},"layerPartBlob":"{blob}"}}'.encode(),
        )
        for one in ids
    ]
    assert [answer.status for answer in app.send_together(*sent)] == [200] * 6


# --- Availability --------------------------------------------------------------------------------------------


def test_availability_of_each_kind_of_digest(app: Driver) -> None:
    """Known, unknown, of an unknown algorithm, malformed and empty, in the order asked."""
    digest = app.upload("app", b"abc")
    given = [MISSING, digest, "", "md5:00ff", "nonsense"]
    assert app.ok("BatchCheckLayerAvailability", repositoryName="app", layerDigests=given) == {
        "layers": [
            {"layerDigest": MISSING, "layerAvailability": "UNAVAILABLE"},
            {"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": 3},
            {"layerDigest": "md5:00ff", "layerAvailability": "UNAVAILABLE"},
        ],
        "failures": [
            {
                "layerDigest": "",
                "failureCode": "MissingLayerDigest",
                "failureReason": "Invalid request parameters: layer digest cannot be blank",
            },
            {
                "layerDigest": "nonsense",
                "failureCode": "InvalidLayerDigest",
                "failureReason": "Invalid request parameters: layer digest should satisfy the regex "
                "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
            },
        ],
    }


def test_the_media_type_comes_from_the_manifest(app: Driver) -> None:
    """What a layer is called is known once an image needs it."""
    app.push("app", "one")
    digest = digest_of(b"layer of one")
    (layer,) = app.ok("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[digest])["layers"]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar"


def test_a_layer_of_another_repository_is_unavailable(app: Driver) -> None:
    """What one repository has says nothing of another."""
    app.create("other")
    digest = app.upload("other", b"abc")
    (layer,) = app.ok("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[digest])["layers"]
    assert layer["layerAvailability"] == "UNAVAILABLE"


# --- Download URLs -------------------------------------------------------------------------------------------


def url_of(driver: Driver, data: bytes = b"layer of one") -> str:
    """The download URL of a layer, without scheme and host."""
    answer = driver.ok("GetDownloadUrlForLayer", repositoryName="app", layerDigest=digest_of(data))
    assert answer["layerDigest"] == digest_of(data)
    parts = urlsplit(answer["downloadUrl"])
    assert (parts.scheme, parts.netloc) == ("http", "localhost:5050")
    return f"{parts.path}?{parts.query}"


def get(driver: Driver, target: str, method: str = "GET", **headers: str) -> Answer:
    """Fetch a URL."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return driver.send(Sent(method, target, pairs))


@pytest.mark.parametrize("data", [b"layer of one", b"config of one"])
def test_a_download_url_gives_the_layer(app: Driver, data: bytes) -> None:
    """No credentials are needed; config blobs are layers too."""
    app.push("app", "one")
    answer = get(app, url_of(app, data))
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-length"] == str(len(data))
    assert answer.operation == "DownloadLayer"


def test_a_download_url_serves_head_and_range(app: Driver) -> None:
    """Clients continue downloads that broke off."""
    app.push("app", "one")
    target = url_of(app)
    part = get(app, target, Range="bytes=6-7")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"of", "bytes 6-7/12")
    assert get(app, target, "HEAD").headers["content-length"] == "12"
    assert get(app, target, Range="bytes=12-").status == 416


@pytest.mark.incident(29)
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_download_url_reads_only(app: Driver, method: str) -> None:
    """Other methods are refused."""
    app.push("app", "one")
    answer = get(app, url_of(app), method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("HEAD", ""), ("GET", "x"), ("PUT", "")])
def test_a_download_names_its_request(app: Driver, method: str, end: str) -> None:
    """Served or refused, with the id under which it is in the log."""
    app.push("app", "one")
    assert len(get(app, url_of(app) + end, method).headers["x-amzn-requestid"]) == 36


@pytest.mark.incident(29)
@pytest.mark.parametrize("error", [TooManyRequests(), Unavailable(what="the server stops")])
def test_a_download_that_is_turned_away_is_told_so_in_plain_http(driver: Driver, error: RegistryError) -> None:
    """Who follows such a URL need not know the JSON API; 503 with the time to come back is known to all."""
    answer = driver.turn_away(Sent("GET", "/downloads/x?token=y"), error)
    assert (answer.status, answer.operation) == (503, "DownloadLayer")
    assert answer.headers["content-type"].startswith("text/plain")
    assert int(answer.headers["retry-after"]) >= 1
    assert len(answer.headers["x-amzn-requestid"]) == 36


def test_a_download_url_lives_an_hour(app: Driver) -> None:
    """After that it opens nothing."""
    app.push("app", "one")
    target = url_of(app)
    app.now += HOUR - SECOND
    assert get(app, target).status == 200
    app.now += SECOND
    assert get(app, target).status == 403


@pytest.mark.incident(29)
def test_a_download_url_cannot_be_bent(app: Driver) -> None:
    """Another digest, another token or none is refused, and nothing is told."""
    app.push("app", "one")
    target = url_of(app)
    path, _, token = target.partition("?token=")
    other = f"/downloads/{digest_of(b'config of one')}"
    for bent in (
        f"{other}?token={token}",
        f"{path}?token={token[:-4]}AAAA",
        path,
        f"{path}?token=",
        f"{path}x?token={token}",
    ):
        answer = get(app, bent)
        assert answer.status == 403
        assert b"sha256" not in answer.body


def test_a_page_token_is_no_download_token(app: Driver) -> None:
    """Tokens of one purpose open nothing of another."""
    app.push("app", "one", "v1", "v2")
    page_token = app.ok("ListImages", repositoryName="app", maxResults=1)["nextToken"]
    path = url_of(app).partition("?")[0]
    assert get(app, f"{path}?token={page_token}").status == 403


def _switch_off(tx: Transaction, access_key_id: str) -> None:
    tx.run(Statement(update(access_key).where(access_key.c.id == access_key_id).values(is_active=0)))


def test_a_download_url_dies_with_its_key(app: Driver) -> None:
    """A key that is switched off takes its URLs with it."""
    app.push("app", "one")
    target = url_of(app)
    app.database.write_now(_switch_off, KEY.access_key_id)
    assert get(app, target).status == 403


def test_a_download_url_of_a_deleted_repository(app: Driver) -> None:
    """What is gone is not found."""
    app.push("app", "one")
    target = url_of(app)
    app.ok("DeleteRepository", repositoryName="app", force=True)
    answer = get(app, target)
    assert (answer.status, answer.error_code) == (404, "RepositoryNotFound")


def test_download_url_of_a_missing_layer(app: Driver) -> None:
    """A digest that the repository does not have."""
    answer = app.call("GetDownloadUrlForLayer", repositoryName="app", layerDigest=MISSING)
    assert answer.json == {
        "__type": "LayersNotFoundException",
        "message": f"The layer with digest '{MISSING}' does not exist within the repository with name 'app' in "
        f"the registry with id '{ACCOUNT}'",
    }


def test_download_url_of_a_layer_that_no_image_needs(app: Driver) -> None:
    """ECR: only layers of images can be downloaded."""
    digest = app.upload("app", b"abc")
    answer = app.call("GetDownloadUrlForLayer", repositoryName="app", layerDigest=digest)
    assert answer.code == "LayerInaccessibleException"


def test_download_url_from_another_account_is_denied(app: Driver) -> None:
    """Without a policy nobody else gets a URL."""
    app.push("app", "one")
    given: dict[str, Any] = {"repositoryName": "app", "layerDigest": digest_of(b"layer of one")}
    assert app.call("GetDownloadUrlForLayer", registryId=OTHER_ACCOUNT, **given).code == (
        "AccessDeniedException"
    )
    assert app.call("GetDownloadUrlForLayer", key=OTHER_KEY, registryId=ACCOUNT, **given).code == (
        "AccessDeniedException"
    )


def test_a_damaged_layer_is_unavailable_until_it_is_pushed_again(app: Driver) -> None:
    """Clients push what is not available, and that repairs it."""
    app.push("app", "one")
    digest = digest_of(b"layer of one")

    def availability() -> str:
        answer = app.ok("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[digest])
        return str(answer["layers"][0]["layerAvailability"])

    assert availability() == "AVAILABLE"
    app.store._stored.clear()
    assert availability() == "UNAVAILABLE"
    answer = app.call("GetDownloadUrlForLayer", repositoryName="app", layerDigest=digest)
    assert answer.code == "LayerInaccessibleException"
    upload_id = start(app)
    add(app, upload_id, 0, b"layer of one")
    assert complete(app, upload_id, digest).code == "LayerAlreadyExistsException"
    assert availability() == "AVAILABLE"


def test_a_download_of_a_damaged_layer_is_an_error(app: Driver) -> None:
    """Bytes that are gone are never answered with something else."""
    app.push("app", "one")
    target = url_of(app)
    app.store._stored.clear()
    assert get(app, target).status == 500
