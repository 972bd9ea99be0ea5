"""Host names and registries: which registry a Host means, and what name a registry is given out under.

A Host only chooses among registries; it authorizes nothing.
"""

import re
from functools import lru_cache
from typing import Final

from moorage.config import Settings
from moorage.domain.caller import RegistryKey
from moorage.domain.names import RegistryId, RepositoryName
from moorage.web.listen import without_port

# <account>.dkr.ecr.<region>.<suffix>, its FIPS form dkr.ecr-fips and its dual-stack form dkr-ecr.
_ECR_HOST: Final = re.compile(r"([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]{1,32})\.[a-z0-9.-]{1,200}")
#: Listening on one of these, the server is reached as localhost too.
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"})  # noqa: S104 - compared, not bound
_AWS_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn", ".on.aws")


class RegistryHosts:
    """Translates between Host headers and registries."""

    def __init__(self, settings: Settings) -> None:
        self._default = RegistryKey(RegistryId.parse(settings.account_id), settings.region)
        self._named = {host.lower(): _read_key(target) for host, target in settings.hosts.items()}
        self._template = settings.registry_host
        self._port = settings.port
        self._own_name = _own_name(settings)
        self._is_tls = settings.tls_cert is not None
        self.registry_of = lru_cache(maxsize=1_024)(self._registry_of)

    @property
    def default(self) -> RegistryKey:
        """The registry of every Host that names none."""
        return self._default

    def _registry_of(self, host: str | None) -> RegistryKey:
        """The registry that a Host header means; names and forms that say nothing mean the default one."""
        name = (host or "").lower()
        if name in self._named:
            return self._named[name]
        name = without_port(name)
        if name in self._named:
            return self._named[name]
        matched = _ECR_HOST.fullmatch(name)
        return RegistryKey(RegistryId(matched[1]), matched[2]) if matched else self._default

    def host_of(self, registry: RegistryKey) -> str:
        """``host`` or ``host:port`` under which clients reach a registry."""
        if self._template:
            host = self._template.removeprefix("https://").removeprefix("http://")
            return host.replace("{account}", registry.registry_id).replace("{region}", registry.region)
        if registry == self._default:
            return f"{self._own_name}:{self._port}"
        return f"{registry.registry_id}.dkr.ecr.{registry.region}.localhost:{self._port}"

    def repository_uri(self, registry: RegistryKey, name: RepositoryName | str) -> str:
        """ECR's ``repositoryUri``: no scheme, so that it can be tagged and pushed."""
        return f"{self.host_of(registry)}/{name}"

    def proxy_endpoint(self, registry: RegistryKey) -> str:
        """ECR's ``proxyEndpoint``, with the scheme that clients can really use."""
        host = self.host_of(registry)
        is_secure = self._is_tls or self._template.startswith("https://") or host.endswith(_AWS_SUFFIXES)
        return f"{'https' if is_secure else 'http'}://{host}"


def _read_key(target: str) -> RegistryKey:
    account, _, region = target.partition("/")
    return RegistryKey(RegistryId.parse(account), region)


def _own_name(settings: Settings) -> str:
    """What clients call this machine: localhost, unless the server listens on other addresses alone."""
    names = [address.rsplit(":", 1)[0] for address in settings.listen]
    return "localhost" if any(name in _LOCAL for name in names) else names[0]
