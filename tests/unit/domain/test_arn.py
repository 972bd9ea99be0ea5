"""ARNs of repositories."""

import pytest

from moorage.domain.arn import RepositoryArn
from moorage.domain.errors import ArnInvalid
from moorage.domain.names import RegistryId, RepositoryName


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:ecr:us-east-1:000000000000:repository/team/app",
        "arn:aws-cn:ecr:cn-north-1:123456789012:repository/ab",
    ],
)
def test_repository_arn_survives_being_read_and_written(text: str) -> None:
    """An ARN is written exactly as it was read, in any partition."""
    assert str(RepositoryArn.parse(text)) == text


def test_repository_arn_names_its_parts() -> None:
    """Region, account and name are read from their places."""
    arn = RepositoryArn.parse("arn:aws:ecr:eu-west-1:123456789012:repository/team/app")
    assert arn == RepositoryArn("eu-west-1", RegistryId("123456789012"), RepositoryName("team/app"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "team/app",
        "arn:aws:ecr:us-east-1:000000000000",
        "arn:aws:ecr:us-east-1:000000000000:team/app",
        "arn:aws:ecr:us-east-1:000000000000:repository/",
        "arn:aws:ecr:us-east-1:000000000000:repository/Team",
        "arn:aws:ecr:us-east-1:000000000000:repository/a:b",
        "arn:aws:ecr:us-east-1:12:repository/team/app",
        "arn:aws:s3:us-east-1:000000000000:repository/team/app",
        "urn:aws:ecr:us-east-1:000000000000:repository/team/app",
        "arn:aws:ecr:us-east-1:000000000000:repository/*",
    ],
)
def test_repository_arn_is_refused_when_it_is_another_thing(text: str) -> None:
    """Other services, resources, accounts and names are not a repository's ARN."""
    with pytest.raises(ArnInvalid):
        RepositoryArn.parse(text)
