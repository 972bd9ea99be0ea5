"""Signed calls of the JSON API, signed beforehand and sent by wrk."""

import random

from bench.samples import Sample
from bench.seeds import Seeded
from bench.servers import BenchError, Server
from bench.small import raw_request, replay

#: Images that one call asks for.
ASKED = 10
#: Different calls; each is sent many times within the quarter of an hour that its signature is good for.
CALLS = 2000


def describe_images(server: Server, seeded: Seeded, connections: int, seconds: int) -> Sample:
    """DescribeImages of ten images by tag, random ones of a random repository each time."""
    payloads = [_payload(seeded) for _ in range(CALLS)]
    for payload in payloads[:: CALLS // 20]:
        _compare(server, seeded, payload)
    requests = [
        raw_request(server, "POST", "/", headers, body, is_signed=True)
        for headers, body in (server.signed("DescribeImages", payload) for payload in payloads)
    ]
    return replay(server, requests, connections, seconds)


def _payload(seeded: Seeded) -> dict[str, object]:
    name = random.choice(sorted(seeded.images))
    tags = random.sample(sorted(seeded.images[name]), ASKED)
    return {"repositoryName": name, "imageIds": [{"imageTag": tag} for tag in tags]}


def _compare(server: Server, seeded: Seeded, payload: dict[str, object]) -> None:
    """The answer names exactly the images that were asked for. Raises ``BenchError``."""
    details = server.call("DescribeImages", payload)["imageDetails"]
    asked = payload["imageIds"]
    if not isinstance(details, list) or not isinstance(asked, list):
        raise BenchError(f"{server.name}: DescribeImages answers in another shape")
    tags = seeded.images[str(payload["repositoryName"])]
    # moto makes digests up.
    found = {one["imageTags"][0]: one["imageDigest"] if server.authorization else "" for one in details}
    if found != {one["imageTag"]: tags[one["imageTag"]] if server.authorization else "" for one in asked}:
        raise BenchError(f"{server.name}: DescribeImages answers for other images than were asked for")
