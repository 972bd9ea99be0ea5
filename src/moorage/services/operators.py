"""What whoever runs the server changes on its machine: by a command, or by what a start finds in the settings.

Nobody calls an API there, so the records name a user of the system (docs/audit.md).
"""

import os
import pwd
import socket
import time
import uuid
from typing import Any

import moorage
from moorage.domain import audit
from moorage.domain.audit import Elements, Note, Operator
from moorage.domain.caller import RegistryKey, RequestFacts
from moorage.domain.names import RegistryId
from moorage.metadata.transaction import Transaction
from moorage.services import accounts
from moorage.services.audit import Recording


def operator() -> Operator:
    """Who runs this process, as the system knows them: variables of the environment prove nothing."""
    user_id = os.getuid()
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:  # In a container, say.
        name = str(user_id)
    return Operator(name, f"uid:{user_id}")


def note(event: str, source: str, registry: RegistryKey, **parameters: Any) -> Note:
    """What is known of an operator's change before it is made; ``parameters`` may hold no secret."""
    now = time.time_ns() // 1000
    agent = f"moorage/{moorage.__version__}"
    facts = RequestFacts(str(uuid.uuid4()), "json", socket.gethostname(), False, agent, now)
    made = Note(facts, event, source, operator=operator(), registry=registry)
    made.add(**parameters)
    return made


def create_root_key(
    tx: Transaction, account_id: RegistryId, access_key_id: str, sealed_secret: bytes, region: str
) -> None:
    """``accounts.create_root_key``, and the record of the account if that is made along with the key.

    The record of the key is the caller's business: ``root_key_elements`` is its answer.
    """
    change = note("CreateAccount", audit.ORGANIZATIONS, RegistryKey(account_id, region))
    told = {"account": {"id": account_id, "status": "ACTIVE"}}
    recording: Recording[bool] = Recording(change, lambda is_made: told if is_made else None)
    recording.recorded(tx, accounts.ensure_account, account_id)
    accounts.create_root_key(tx, account_id, access_key_id, sealed_secret)


def root_key_elements(access_key_id: str) -> Elements:
    """What the record of CreateAccessKey tells of a root's new key."""
    return {"accessKey": {"accessKeyId": access_key_id, "status": "Active"}}
