"""boto3 against a server of its own, for any account and region."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.config import Config

from tests.clients.command import moorage, run
from tests.serving import ACCOUNT, REGION, Credentials, Served, serve


@dataclass
class Boto:
    """Makes clients of a running server; what an account needs first is made for it."""

    served: Served
    keys: dict[str, Credentials] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys[ACCOUNT] = self.served.credentials

    def key(self, account: str) -> Credentials:
        """An access key of the account's root."""
        if account not in self.keys:
            made = self.moorage("credentials", "create", "--account", account, "--output", "json")
            self.keys[account] = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
        return self.keys[account]

    def moorage(self, *argv: str) -> Any:
        """What a command about the server's data directory prints, read as JSON."""
        return msgspec.json.decode(run([moorage(), *argv, "--data-dir", self.served.data_dir], {}).out)

    def client(self, service: str = "ecr", account: str = ACCOUNT, region: str = REGION) -> Any:
        """A client that tries nothing twice, so that what is answered first is what the test sees."""
        key = self.key(account)
        return self.client_of(key, service, region)

    def client_of(self, key: Credentials, service: str = "ecr", region: str = REGION) -> Any:
        """A client with any access key."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.served.url,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}),
        )


@contextmanager
def boto(directory: Path) -> Iterator[Boto]:
    """A server and what makes clients of it."""
    with serve(directory) as served:
        yield Boto(served)
