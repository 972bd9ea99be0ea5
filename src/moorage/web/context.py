"""All that a face needs besides the request; complete when built."""

from dataclasses import dataclass

from moorage.auth.sealing import Keyring
from moorage.config import Settings
from moorage.metadata.database import Database
from moorage.transfers.downloads import Downloads
from moorage.transfers.pulls import PullTimes
from moorage.transfers.uploads import Uploads
from moorage.transfers.web_identities import WebIdentities
from moorage.web.authenticate import Authenticator
from moorage.web.hosts import RegistryHosts


@dataclass(frozen=True, slots=True)
class Context:
    """What both faces share."""

    settings: Settings
    database: Database
    uploads: Uploads
    downloads: Downloads
    pulls: PullTimes
    authenticator: Authenticator
    hosts: RegistryHosts
    keyring: Keyring
    web_identities: WebIdentities
