"""Case 70: the clock jumps by an hour, forward and back, while tokens and uploads are in use."""

from base64 import b64encode

import pytest

from moorage.services import uploads
from tests.ecr.driver import HOUR, Driver, digest_of


@pytest.fixture(autouse=True)
def two_repositories(driver: Driver) -> None:
    """So that a list has two pages."""
    driver.create("team/app", "team/b")


@pytest.mark.threat(70)
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_an_upload_survives_a_jump_of_the_clock(driver: Driver, jump: int) -> None:
    """It goes on where it was, and the sweep does not take it."""
    upload_id = driver.ok("InitiateLayerUpload", repositoryName="team/app")["uploadId"]
    data = b"0123456789"
    for first in (0, 5):
        driver.ok(
            "UploadLayerPart",
            repositoryName="team/app",
            uploadId=upload_id,
            partFirstByte=first,
            partLastByte=first + 4,
            layerPartBlob=b64encode(data[first : first + 5]).decode(),
        )
        driver.now += jump
        assert driver.database.write_now(uploads.expire_uploads, 100) == (0, [])
    driver.now -= 3 * jump
    assert driver.database.write_now(uploads.expire_uploads, 100) == (0, [])
    # Two small parts are refused as such, not as an upload that is gone.
    answer = driver.refused(
        "CompleteLayerUpload", repositoryName="team/app", uploadId=upload_id, layerDigests=[digest_of(data)]
    )
    assert answer == "LayerPartTooSmallException"


@pytest.mark.threat(70)
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_page_token_survives_a_jump_of_the_clock(driver: Driver, jump: int) -> None:
    """The list goes on."""
    token = driver.ok("DescribeRepositories", maxResults=1)["nextToken"]
    driver.now += jump
    assert len(driver.ok("DescribeRepositories", nextToken=token)["repositories"]) == 1


@pytest.mark.threat(70)
def test_nothing_lives_longer_for_a_clock_that_was_set_back(driver: Driver) -> None:
    """What was signed before is refused, not taken for fresh, when its time does not fit the clock."""
    sent = driver.sign("DescribeRepositories")
    driver.now -= HOUR
    assert driver.send(sent).code == "InvalidSignatureException"
    driver.now += 2 * HOUR
    assert driver.send(sent).code == "InvalidSignatureException"
