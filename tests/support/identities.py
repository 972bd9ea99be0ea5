"""Users, roles and policies for tests."""

import json

from moorage.metadata.database import Database
from moorage.services import policies, principals
from tests.support.callers import ACCOUNT


def allow(*actions: str, **members: object) -> str:
    """An identity policy with one statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"} | members
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


#: A policy with nothing remarkable about it.
PULL = allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")

#: Who may assume a role: whoever the account of the tests lets.
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def add_alice(database: Database) -> principals.Principal:
    """The user alice of the default account, whom ``enroll`` made."""
    return database.write_now(principals.create_user, ACCOUNT, "alice")


def add_builder(database: Database) -> principals.Principal:
    """The role builder of the default account."""
    return database.write_now(principals.create_role, ACCOUNT, "builder", TRUST)


def add_policy(database: Database, name: str = "pull") -> policies.ManagedPolicy:
    """A managed policy of the default account."""
    return database.write_now(policies.create_policy, ACCOUNT, name, PULL)
