"""Amazon Resource Names of the things Moorage holds."""

from dataclasses import dataclass

from moorage.domain.errors import ArnInvalid, RegistryIdInvalid, RepositoryNameInvalid
from moorage.domain.names import RegistryId, RepositoryName


@dataclass(frozen=True, slots=True)
class RepositoryArn:
    """``arn:aws:ecr:<region>:<account>:repository/<name>``."""

    region: str
    registry_id: RegistryId
    repository_name: RepositoryName
    partition: str = "aws"

    @classmethod
    def parse(cls, text: str) -> "RepositoryArn":
        """Raises ``ArnInvalid`` for anything but a repository's ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or parts[2] != "ecr" or not parts[5].startswith("repository/"):
            raise ArnInvalid(arn=text[:300])
        try:
            name = RepositoryName.parse(parts[5].removeprefix("repository/"))
            return cls(parts[3], RegistryId.parse(parts[4]), name, parts[1])
        except (RegistryIdInvalid, RepositoryNameInvalid) as error:
            raise ArnInvalid(arn=text[:300]) from error

    def __str__(self) -> str:
        return f"arn:{self.partition}:ecr:{self.region}:{self.registry_id}:repository/{self.repository_name}"
