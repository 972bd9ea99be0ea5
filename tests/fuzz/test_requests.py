"""The generators reach everything, repeat themselves when asked to, and go through the application unharmed."""

import asyncio
import json
import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.ecr.contract import OPERATIONS, SHAPES
from moorage.oci.routes import ROUTES
from tests.fuzz import oracles
from tests.fuzz.__main__ import Campaign, chunks, earlier, play_again, write_fault
from tests.fuzz.application import Fuzzed
from tests.fuzz.json_api import SAMPLES, JsonRequests
from tests.fuzz.kept import Kept
from tests.fuzz.raw_cases import Case, RawCases
from tests.fuzz.registry_api import RegistryRequests
from tests.fuzz.requests import Answer, Sent
from tests.fuzz.values import REPOSITORIES, Known, dump
from tests.fuzz.volume import Chunk, Fault
from tests.unit.ecr import contract_inputs

thorough = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
KEY = ("AKIAEXAMPLEEXAMPLE00", "x" * 40)


def json_requests(seed: int = 1) -> JsonRequests:
    """Requests that are not sent."""
    return JsonRequests(Random(seed), Known(), KEY)


def registry_requests(seed: int = 1) -> RegistryRequests:
    """Requests that are not sent."""
    return RegistryRequests(Random(seed), Known(), ["Basic a", "Basic b"])


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES.values() if shape.pattern], ids=lambda shape: shape.name
)
def test_samples_follow_their_patterns(shape: Any) -> None:
    """Else no request with such a member would come past validation."""
    for sample in SAMPLES[shape.name]:
        assert re.fullmatch(shape.pattern, sample, re.ASCII)
        assert (shape.minimum or 0) <= len(sample) <= (shape.maximum or 10**6)


def test_every_operation_is_asked_for() -> None:
    """Built or not."""
    requests = json_requests()
    targets = {
        (requests.make().header(b"x-amz-target") or b"").partition(b".")[2].decode() for _ in range(8_000)
    }
    assert set(OPERATIONS) <= targets


def test_every_route_is_asked_for() -> None:
    """With its own method, and with others."""
    requests = registry_requests()
    made = [requests.make() for _ in range(4_000)]
    assert {route.method for route in ROUTES} < {sent.method for sent in made}
    for noun in (b"/manifests/", b"/blobs/", b"/blobs/uploads/", b"/tags/list", b"/referrers/", b"_catalog"):
        assert any(noun in sent.target for sent in made)


def test_the_same_seed_makes_the_same_requests() -> None:
    """That is what a replay rests on. Signatures have the time in them, so only the rest is compared."""
    for make in (json_requests, registry_requests):
        one, other = make(5), make(5)
        for _ in range(500):
            first, second = one.make(), other.make()
            assert (first.method, len(first.target), first.pieces) == (
                second.method,
                len(second.target),
                second.pieces,
            )


def test_what_is_sent_can_be_written_and_read() -> None:
    """Byte for byte, connections too."""
    requests = registry_requests()
    raw = RawCases(Random(1), "Basic a", lambda *_: [("host", "x")])
    for _ in range(300):
        sent = requests.make()
        assert Sent.read(json.loads(json.dumps(sent.describe()))).describe() == sent.describe()
        case = raw.make()
        assert Case.read(json.loads(json.dumps(case.describe()))).data == case.data


def test_chunks_add_up_and_are_found_again(tmp_path: Path) -> None:
    """All requests are in one, two of a hundred raw; a chunk that is done is known by the next run."""
    made = list(chunks(3, 100_000))
    assert sum(chunk.count for chunk in made) == 100_000
    assert sum(chunk.count for chunk in made if chunk.is_raw) == 2_000
    assert max(Counter((chunk.number, chunk.is_raw) for chunk in made).values()) == 1
    state = tmp_path / "state.jsonl"
    state.write_text(json.dumps({"chunk": vars(made[0]), "statuses": {"200": 7}, "faults": 0}) + "\n")
    assert earlier(state, 3) == {(made[0].number, made[0].count, made[0].is_raw): {"200": 7}}
    assert earlier(state, 4) == {}


def test_raw_connections_are_played_beside_the_rest(tmp_path: Path) -> None:
    """They wait most of their time; but two such chunks at once would be in each other's way."""
    given = Namespace(state=tmp_path / "none", seconds=1, processes=2)
    campaign, raw, plain = Campaign(3, given), Chunk(3, 0, 5, is_raw=True), Chunk(3, 1, 5)
    assert campaign.next_of([plain, raw], [plain, plain]) == raw
    assert campaign.next_of([raw, plain], [raw, plain]) == plain
    assert campaign.next_of([raw, plain], [raw, plain, plain]) is None


def test_what_stands_is_not_made_again() -> None:
    """The other repositories are."""
    made: list[str] = []

    async def send(sent: Sent) -> Answer:
        made.append(json.loads(sent.body)["repositoryName"])
        return Answer(200)

    asyncio.run(Kept(Random(0), send, KEY, "").tend(frozenset(REPOSITORIES[1:3])))
    assert made == [REPOSITORIES[0], REPOSITORIES[3]]


def test_a_fault_is_played_again_from_its_file(tmp_path: Path) -> None:
    """One that is mended says that all is well."""
    sent = registry_requests().make()
    file = write_fault(Fault(Chunk(1, 0, 3), 2, ["status 500"], sent.describe()), tmp_path)
    assert play_again(file) == []


# --- Depth: hypothesis chooses, and makes small what fails ---------------------------------------------------


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Sends to a server that lives as long as the module; gives what is wrong."""
    server = Fuzzed(tmp_path_factory.mktemp("depth"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.__aenter__())

        def judge(sent: Sent) -> list[str]:
            return list(oracles.faults(sent, runner.run(server.send(sent))))

        tokens = runner.run(server.tokens())
        runner.run(Kept(Random(0), server.send, server.key, tokens[0]).tend())
        yield judge, server.key, tokens
        problems = list(server.traces.contradictions())
        runner.run(server.__aexit__(None, None, None))
        assert problems == []


@thorough
@given(name=st.sampled_from(sorted(OPERATIONS)), data=st.data())
def test_any_input_of_any_operation_is_answered(send: Any, name: str, data: st.DataObject) -> None:
    """Valid, or with one place in it replaced by whatever JSON can say."""
    judge, key, _ = send
    body = data.draw(contract_inputs.values(OPERATIONS[name].input))
    if data.draw(st.booleans()):
        body = contract_inputs.replace_somewhere(data, body)
    assert judge(JsonRequests(Random(0), Known(), key).signed(name, dump(body))) == []


@thorough
@given(random=st.randoms(use_true_random=False))
def test_any_request_to_the_json_api_is_answered(send: Any, random: Random) -> None:
    """Headers, queries and bodies as the fuzzer makes them."""
    judge, key, _ = send
    assert judge(JsonRequests(random, Known(), key).make()) == []


@thorough
@given(random=st.randoms(use_true_random=False))
def test_any_request_to_the_registry_is_answered(send: Any, random: Random) -> None:
    """Paths, headers and bodies as the fuzzer makes them."""
    judge, _, tokens = send
    assert judge(RegistryRequests(random, Known(), tokens).make()) == []
