"""Who may come in, and where paths lead."""

import base64
from pathlib import Path

import pytest

from moorage.domain.names import RegistryId
from moorage.metadata.tables import access_key
from moorage.oci import routes
from moorage.oci.routes import ROUTES, UPLOAD, Route, read_path
from tests.oci.driver import ACCOUNT, HOST, OTHER_ACCOUNT, Body, Registry, sha256
from tests.support.database import execute

DIGEST = sha256(b"blob")
UPLOAD_ID = "ef4bcc5a-7bd5-4cf1-a49c-f4d3ba5a1e39"


def target_of(route: Route) -> str:
    """A target of the route's shape in ``team/app``."""
    path = (
        route.shape.replace("<name>", "team/app")
        .replace("<reference>", DIGEST)
        .replace("<digest>", DIGEST)
        .replace("<upload_id>", UPLOAD_ID)
    )
    return f"{path}?digest={DIGEST}" if route.method in {"PUT", "POST"} and "uploads" in path else path


every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.shape}")


def test_base_answers_whoever_is_known(registry: Registry) -> None:
    """C2: 200; docker login looks at nothing else."""
    reply = registry.send("GET", "/v2/")
    assert (reply.status, reply.headers["docker-distribution-api-version"]) == (200, "registry/2.0")


# --- Credentials ---------------------------------------------------------------------------------------------


@pytest.mark.threat(13)
@every_route
def test_every_route_asks_for_credentials(registry: Registry, route: Route) -> None:
    """C2, threat 13: ECR's challenge to the letter, before anything is read."""
    body = Body([b"x"])
    reply = registry.send(route.method, target_of(route), body, account=None)
    assert (reply.status, reply.error_code) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"] == f'Basic realm="http://{HOST}/",service="ecr.amazonaws.com"'
    assert reply.headers["docker-distribution-api-version"] == "registry/2.0"
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-length"] == "15"
    assert reply.body == (b"" if route.method == "HEAD" else b"Not Authorized\n")
    assert not body.was_read


@every_route
def test_every_route_asks_for_its_action(registry: Registry, route: Route) -> None:
    """Threats 1 and 16: a stranger is refused the very action of the table, before the body is read."""
    body = Body([b"x"])
    reply = registry.send(route.method, target_of(route), body, account=OTHER_ACCOUNT)
    if not route.action:
        assert reply.status == 200
        return
    assert reply.outcome == (403, "DENIED")
    assert not body.was_read
    # Bytes that come with the end of an upload are a part of it: that right is asked for first.
    action = "ecr:UploadLayerPart" if (route.method, route.shape) == ("PUT", UPLOAD) else route.action
    if route.method != "HEAD":
        assert f"is not authorized to perform: {action} on resource: " in reply.error[2]


@every_route
def test_every_route_knows_a_missing_repository(registry: Registry, route: Route) -> None:
    """NAME_UNKNOWN wherever there is a name."""
    if "<name>" in route.shape:
        target = target_of(route).replace("team/app", "team/none")
        assert registry.send(route.method, target, Body([b"x"])).outcome == (404, "NAME_UNKNOWN")


@pytest.mark.threat(13)
@every_route
def test_every_route_refuses_an_expired_token(registry: Registry, route: Route) -> None:
    """ECR: 403 with its own sentence, so that users know to log in again."""
    header = registry.authorization(lifetime=0)
    reply = registry.send(route.method, target_of(route), Body([b"x"]), account=None, authorization=header)
    assert reply.outcome == (403, "DENIED")
    if route.method != "HEAD":
        assert reply.error[2] == "Your authorization token has expired. Reauthenticate and try again."


@pytest.mark.threat(15)
@every_route
def test_every_route_refuses_the_token_of_a_deleted_key(registry: Registry, route: Route) -> None:
    """Threats 8 and 15: the key's state is read at each use."""
    header = registry.authorization(key_id="AKIADELETED")
    reply = registry.send(route.method, target_of(route), Body([b"x"]), account=None, authorization=header)
    assert reply.outcome == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!!", "Basic QVdTOm5vdC1hLXRva2Vu", "Bearer x", "Basic Zm9vOmJhcg==", "Basic QVdT"],
)
def test_garbage_is_not_a_token(registry: Registry, authorization: str) -> None:
    """Threats 13 and 14: 401, whatever is wrong."""
    reply = registry.send("GET", "/v2/", account=None, authorization=authorization)
    assert (reply.status, reply.body) == (401, b"Not Authorized\n")


@pytest.mark.threat(14)
def test_another_user_name_is_refused(registry: Registry) -> None:
    """Threat 14: the user is AWS, whoever it is."""
    encoded = registry.authorization().removeprefix("Basic ")
    swapped = base64.b64decode(encoded).replace(b"AWS:", b"root:")
    header = "Basic " + base64.b64encode(swapped).decode()
    assert registry.send("GET", "/v2/", account=None, authorization=header).status == 401


@pytest.mark.parametrize("host", ['a"b', "a b", "a\r\nb", "h\xe9"])
def test_a_host_cannot_write_into_the_challenge(registry: Registry, host: str) -> None:
    """Threat 66: letters that no host has are not repeated."""
    reply = registry.send("GET", "/v2/", account=None, host=host)
    assert 'realm="http://localhost/"' in reply.headers["www-authenticate"]


def test_the_host_chooses_the_registry_and_authorizes_nothing(registry: Registry) -> None:
    """An account's own host shows its repositories to itself alone."""
    registry.create("theirs", account=OTHER_ACCOUNT)
    host = f"{OTHER_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    reply = registry.send("GET", "/v2/_catalog", account=OTHER_ACCOUNT, host=host)
    assert reply.json == {"repositories": ["theirs"]}
    assert registry.send("GET", "/v2/_catalog", account=ACCOUNT, host=host).status == 403


@pytest.mark.threat(66)
def test_locations_do_not_repeat_the_host(registry: Registry) -> None:
    """Threat 66: relative, so that any name and proxy works."""
    reply = registry.send("POST", "/v2/team/app/blobs/uploads/", host="evil.example")
    assert reply.headers["location"].startswith("/v2/team/app/")


def test_dev_makes_repositories_on_push_alone(tmp_path: Path) -> None:
    """``--dev``: any password does; a pull makes nothing."""
    registry = Registry(tmp_path, dev=True)
    try:
        header = "Basic cm9vdDpyb290"
        assert registry.send("GET", "/v2/new/tags/list", account=None, authorization=header).status == 404
        for path in ("blobs/uploads/", f"blobs/uploads/?digest={DIGEST}"):
            name = f"new{len(path)}"
            reply = registry.send("POST", f"/v2/{name}/{path}", b"blob", account=None, authorization=header)
            assert reply.status in {201, 202}
            assert registry.send("GET", f"/v2/{name}/tags/list", account=None).status == 200
    finally:
        registry.close()


def test_a_key_that_was_switched_off_opens_nothing(registry: Registry) -> None:
    """The next request after it is refused."""
    assert registry.send("GET", "/v2/_catalog").status == 200
    execute(registry.database, f"UPDATE {access_key.name} SET is_active = 0")
    assert registry.send("GET", "/v2/_catalog").status == 401
    assert registry.send("GET", "/v2/").status == 401


# --- Paths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v2", (routes.BASE, None, "")),
        ("/v2/", (routes.BASE, None, "")),
        ("/v2/_catalog", (routes.CATALOG, None, "")),
        ("/v2/a/manifests/v1", (routes.MANIFEST, "a", "v1")),
        ("/v2/a/b/c/manifests/v1", (routes.MANIFEST, "a/b/c", "v1")),
        ("/v2/manifests/manifests/manifests", (routes.MANIFEST, "manifests", "manifests")),
        ("/v2/a/tags/list/manifests/list", (routes.MANIFEST, "a/tags/list", "list")),
        ("/v2/a/manifests/b/tags/list", (routes.TAGS, "a/manifests/b", "list")),
        ("/v2/a/blobs/uploads/manifests/x", (routes.MANIFEST, "a/blobs/uploads", "x")),
        ("/v2/a/blobs/uploads/", (routes.UPLOADS, "a", "")),
        ("/v2/a/blobs/uploads/1", (routes.UPLOAD, "a", "1")),
        ("/v2/blobs/uploads/blobs/uploads/1", (routes.UPLOAD, "blobs/uploads", "1")),
        ("/v2/a/blobs/uploads", (routes.BLOB, "a", "uploads")),
        ("/v2/a/blobs/sha256%3Aaa", (routes.BLOB, "a", "sha256:aa")),
        ("/v2/a/referrers/sha256:aa", (routes.REFERRERS, "a", "sha256:aa")),
        ("/v2//manifests/v1", (routes.MANIFEST, "", "v1")),
        ("/v2/a%2Fmanifests%2Fb/manifests/v1", (routes.MANIFEST, "a%2Fmanifests%2Fb", "v1")),
        ("/v2/a/manifests/x%2Fmanifests%2Fy", (routes.MANIFEST, "a", "x%2Fmanifests%2Fy")),
    ],
)
def test_paths_are_read_from_the_right(path: str, place: tuple[str, str | None, str]) -> None:
    """Names have slashes and may hold any word of the API."""
    assert read_path(path) == place


@pytest.mark.incident(19)
@pytest.mark.parametrize(
    "path",
    [
        "/v2/team/app",
        "/v2/team/app/",
        "/v2/team/app/tags",
        "/v2/team/app/tags/",
        "/v2/team/app/tags/list/",
        "/v2/manifests/v1",
        "/v2/blobs/uploads/",
        "/v2/uploads/1",
        "/v2/_catalog/",
        "/v2//",
        "/v2%2Fteam/app/manifests/v1",
        "/v2/token",
    ],
)
def test_other_paths_are_404(registry: Registry, path: str) -> None:
    """C3: with the envelope."""
    assert registry.send("GET", path).error == (
        404,
        "UNSUPPORTED",
        "The path is not one of the OCI distribution API",
    )


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v2/", "GET, HEAD"),
        ("OPTIONS", "/v2/_catalog", "GET, HEAD"),
        ("POST", "/v2/team/app/manifests/v1", "GET, HEAD, PUT, DELETE"),
        ("PUT", f"/v2/team/app/blobs/{DIGEST}", "GET, HEAD, DELETE"),
        ("GET", "/v2/team/app/blobs/uploads/", "POST"),
        ("POST", f"/v2/team/app/blobs/uploads/{UPLOAD_ID}", "GET, HEAD, PATCH, PUT, DELETE"),
        ("DELETE", "/v2/team/app/tags/list", "GET, HEAD"),
        ("PUT", f"/v2/team/app/referrers/{DIGEST}", "GET, HEAD"),
        ("BREW", "/v2/", "GET, HEAD"),
    ],
)
def test_other_methods_are_405_with_allow(registry: Registry, method: str, path: str, allow: str) -> None:
    """The shape is known, the method is not."""
    reply = registry.send(method, path)
    assert reply.outcome == (405, "UNSUPPORTED")
    assert reply.headers["allow"] == allow


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "a",
        "a//b",
        "../x",
        "a/../b",
        "-a",
        "a_",
        "a" * 257,
        "a.b-",
        "a%2e%2e",
        "a%2Fb",
        "%2F%2F..%2Fetc",
        "a%00",
        "a%5Cb",
        "a..;",
        "%C3%A9%C3%A9",
        "%c0%ae%c0%ae",
        "/ab",
        "ab/",
        "",
    ],
)
def test_a_name_not_of_the_form_is_refused(registry: Registry, name: str) -> None:
    """C1, threats 19 and 21: NAME_INVALID, wherever there is a name."""
    for route in ROUTES:
        if "<name>" in route.shape:
            target = target_of(route).replace("team/app", name)
            assert registry.send(route.method, target, Body([b"x"])).outcome == (400, "NAME_INVALID")


@pytest.mark.parametrize("name", ["ab", "a.b", "a__b", "a---b", "a/b/c", "a" * 256, "0/1"])
def test_every_legal_name_is_taken(registry: Registry, name: str) -> None:
    """C1: what the grammar allows."""
    registry.create(name)
    assert registry.send("GET", f"/v2/{name}/tags/list").json == {"name": name, "tags": []}


def test_a_long_hostile_name_takes_no_time() -> None:
    """Threat 24: the length is looked at before the grammar."""
    place = read_path("/v2/" + "a-" * 50_000 + "/tags/list")
    assert place.name is not None
    assert len(place.name) == 100_000


def test_every_answer_has_its_request_id(registry: Registry) -> None:
    """The id that the log has, on refusals too."""
    ids = {
        registry.send("GET", path).headers["x-request-id"] for path in ("/v2/", "/v2/nothing", "/v2/_catalog")
    }
    assert len(ids) == 3


def test_every_shape_of_the_table_has_a_head_for_its_get() -> None:
    """A GET without HEAD would be a hole in the table."""
    pairs = {(route.method, route.shape) for route in ROUTES}
    assert len(pairs) == len(ROUTES)
    assert all(("HEAD", shape) in pairs for method, shape in pairs if method == "GET")


def test_the_accounts_of_the_tests_are_accounts() -> None:
    """The driver's constants are of the form."""
    assert RegistryId.parse(ACCOUNT) != RegistryId.parse(OTHER_ACCOUNT)
