"""Cases 13 to 17, 25, 36 and 47, and rows 2, 3, 27, 29: what belongs to others, asked for in every way."""

from dataclasses import replace

import pytest

from moorage.metadata.sqlite import connect
from tests.serving import Served
from tests.threats.wire import Attacker, digest_of, make_key

NOWHERE = "sha256:" + "0" * 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def secret(owner: Attacker, stranger: Attacker) -> str:
    """The digest of a blob that the owner alone has; both have a repository of the same name."""
    for each in (owner, stranger):
        assert each.call("CreateRepository", repositoryName="team/app").status == 200
    assert owner.call("CreateRepository", repositoryName="team/other").status == 200
    return owner.push("team/app", b"known to its owner alone")


def manifest_over(digest: str, size: int) -> bytes:
    """The smallest manifest: a config and no layers."""
    return (
        f'{{"schemaVersion":2,"mediaType":"{MANIFEST}","layers":[],"config":'
        f'{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{size}}}}}'
    ).encode()


@pytest.mark.threat(8)
def test_8_two_authorizations_are_none(owner: Attacker) -> None:
    """A proxy may have judged by the other one."""
    good = ("authorization", owner.token())
    for pair in ([good, good], [good, ("authorization", "Basic x")], [("authorization", "Basic x"), good]):
        assert owner.send("GET", "/v2/", pair).status == 401


def test_16_the_host_opens_no_other_account(owner: Attacker, stranger: Attacker, secret: str) -> None:
    """A good token and another registry's name give the refusal that a missing repository gives."""
    intruder = replace(stranger, host=owner.name)
    answers = [
        intruder.registry("GET", f"/v2/{name}/blobs/{secret}").body for name in ("team/app", "team/gone")
    ]
    assert b"DENIED" in answers[0]
    assert answers[0].replace(b"team/app", b"team/gone") == answers[1]


@pytest.mark.threat(47)
@pytest.mark.parametrize("query", ["mount={}", "mount={}&from=team/app", "mount={}&from=team/other"])
def test_27_a_mount_tells_nothing_of_other_accounts(stranger: Attacker, secret: str, query: str) -> None:
    """A blob that another account has is mounted like one that nobody has: not at all."""
    for digest in (secret, NOWHERE):
        answer = stranger.registry("POST", f"/v2/team/app/blobs/uploads/?{query.format(digest)}")
        assert (answer.status, answer.body) == (202, b"")
    assert stranger.registry("HEAD", f"/v2/team/app/blobs/{secret}").status == 404


@pytest.mark.threat(47)
def test_47_a_manifest_reaches_no_blob_of_others(stranger: Attacker, secret: str) -> None:
    """To name a digest is not to have it."""
    answer = stranger.registry(
        "PUT", "/v2/team/app/manifests/x", manifest_over(secret, 24), content_type=MANIFEST
    )
    assert answer.told == (404, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.threat(36)
@pytest.mark.incident(3)
def test_36_an_upload_is_known_to_its_repository_alone(
    owner: Attacker, stranger: Attacker, secret: str
) -> None:
    """No method reads, continues, ends or cancels it by another path or from another account."""
    location = owner.registry("POST", "/v2/team/app/blobs/uploads/").headers["location"]
    elsewhere = location.replace("team/app", "team/other")
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        query = f"?digest={secret}" if method == "PUT" else ""
        for attacker, path in ((owner, elsewhere), (stranger, location)):
            answer = attacker.registry(method, path + query, b"x" if method == "PATCH" else b"")
            assert answer.told == (404, "BLOB_UPLOAD_UNKNOWN")
        intruder = replace(stranger, host=owner.name)
        assert intruder.registry(method, location + query).status == 403
    upload_id = location.rpartition("/")[2]
    for attacker, name in ((owner, "team/other"), (stranger, "team/app")):
        answer = attacker.call(
            "CompleteLayerUpload", repositoryName=name, uploadId=upload_id, layerDigests=[secret]
        )
        assert answer.told == (400, "UploadNotFoundException")
    kept = owner.registry("GET", location)
    assert (kept.status, kept.headers["range"]) == (204, "0-0")


@pytest.mark.threat(25)
def test_25_a_page_token_is_for_one_list_of_one_account(owner: Attacker, stranger: Attacker) -> None:
    """Nobody else's list continues with it, no other list, and it is no password."""
    for attacker in (owner, stranger):
        for name in ("page/a", "page/b"):
            attacker.call("CreateRepository", repositoryName=name)
    token = owner.call("DescribeRepositories", maxResults=1).json["nextToken"]
    refused = (400, "InvalidParameterException")
    assert stranger.call("DescribeRepositories", nextToken=token).told == refused
    assert owner.call("ListImages", repositoryName="page/a", nextToken=token).told == refused
    assert owner.call("DescribeRepositories", nextToken=token[:-4] + "AAAA").told == refused
    assert owner.call("DescribeRepositories", nextToken=token).status == 200


@pytest.mark.threat(9, 15)
@pytest.mark.incident(29)
@pytest.mark.parametrize("end", ["is_active = 0", None])
def test_15_and_29_what_a_key_was_given_ends_with_it(served: Served, end: str | None) -> None:
    """A download URL and a registry token are worth nothing once the key is switched off or gone."""
    account = "222222222222"
    key = make_key(served, account)
    holder = Attacker(served, key, f"{account}.dkr.ecr.us-east-1.localhost")
    holder.call("CreateRepository", repositoryName="kept")
    config = b'{"end":"%s"}' % str(end).encode()
    digest = holder.push("kept", config)
    holder.registry("PUT", "/v2/kept/manifests/x", manifest_over(digest, len(config)), content_type=MANIFEST)
    url = holder.call("GetDownloadUrlForLayer", repositoryName="kept", layerDigest=digest).json["downloadUrl"]
    path, token = "/" + url.split("/", 3)[3], [("authorization", holder.token())]
    assert holder.send("GET", path).body == config
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        assert holder.send(method, path).status == 405
    assert holder.send("GET", path.replace(digest, digest_of(b"another"))).status == 403
    database = connect(served.data_dir / "metadata.db")
    change = f"UPDATE access_key SET {end}" if end else "DELETE FROM access_key"
    database.execute(f"{change} WHERE id = ?", (key.access_key_id,))
    database.close()
    assert holder.send("GET", path).status == 403
    assert holder.send("GET", "/v2/", token).status == 401
    assert holder.send("GET", "/v2/kept/manifests/x", token).status == 401
