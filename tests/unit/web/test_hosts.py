"""Which registry a Host means, and what name a registry is given out under."""

import pytest

from moorage.config import Settings
from moorage.domain.caller import RegistryKey
from moorage.domain.names import RegistryId
from moorage.web.hosts import RegistryHosts

OURS = RegistryKey(RegistryId("000000000000"), "us-east-1")
OTHER = RegistryKey(RegistryId("123456789012"), "eu-central-1")
AMAZON = "{account}.dkr.ecr.{region}.amazonaws.com"


@pytest.mark.parametrize(
    "host",
    [
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-central-1.localhost:5050",
        "123456789012.dkr.ecr-fips.eu-central-1.amazonaws.com",
        "123456789012.dkr-ecr.eu-central-1.on.aws",
        "123456789012.DKR.ECR.EU-CENTRAL-1.example.com:443",
    ],
)
def test_a_host_of_amazons_form_names_its_registry(host: str) -> None:
    """Account and region are in the name, whatever the suffix, the port and the case."""
    assert RegistryHosts(Settings()).registry_of(host) == OTHER


@pytest.mark.parametrize("host", [None, "", "localhost:5050", "12345.dkr.ecr.x.y", "[::1]:5050", "a" * 5000])
def test_any_other_host_means_the_default_registry(host: str | None) -> None:
    """ECR: refuses a host it cannot read; a server of one's own has a default."""
    assert RegistryHosts(Settings()).registry_of(host) == OURS


@pytest.mark.parametrize("host", ["images.example.com", "IMAGES.example.com:8443"])
def test_a_host_of_the_setting_names_its_registry(host: str) -> None:
    """With or without a port, in any case."""
    hosts = RegistryHosts(Settings(hosts={"images.example.com": "123456789012/eu-central-1"}))
    assert hosts.registry_of(host) == OTHER


def test_the_default_registry_is_localhost_with_the_port() -> None:
    """What docker takes for plain HTTP without being told."""
    hosts = RegistryHosts(Settings(listen=("127.0.0.1:7000",)))
    assert hosts.repository_uri(OURS, "team/app") == "localhost:7000/team/app"


def test_other_registries_have_names_of_their_own_below_localhost() -> None:
    """So that one server can be told from another's registry by the Host alone."""
    hosts = RegistryHosts(Settings(listen=("127.0.0.1:7000",)))
    assert hosts.host_of(OTHER) == "123456789012.dkr.ecr.eu-central-1.localhost:7000"
    assert hosts.registry_of(hosts.host_of(OTHER)) == OTHER


def test_a_server_that_localhost_does_not_reach_gives_out_its_address() -> None:
    """Nothing listens on localhost then."""
    assert RegistryHosts(Settings(listen=("127.0.0.2:5091",))).host_of(OURS) == "127.0.0.2:5091"


def test_a_template_of_amazons_form_looks_exactly_like_amazon() -> None:
    """No port, and https whatever is served here."""
    hosts = RegistryHosts(Settings(registry_host=AMAZON))
    assert hosts.repository_uri(OTHER, "a") == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a"
    assert hosts.proxy_endpoint(OTHER) == "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("template", "endpoint"),
    [
        ("https://images.example.com", "https://images.example.com"),
        ("images.example.com:8080", "http://images.example.com:8080"),
    ],
)
def test_the_template_says_the_scheme(template: str, endpoint: str) -> None:
    """A proxy before the server may speak TLS where the server does not."""
    assert RegistryHosts(Settings(registry_host=template)).proxy_endpoint(OURS) == endpoint


@pytest.mark.parametrize("template", ["{foo}", "a b", "https://", "host/path", "{account}.x:port"])
def test_a_template_that_makes_no_host_name_is_refused(template: str) -> None:
    """It would be printed into every repository's URI."""
    with pytest.raises(ValueError, match="a host name, with"):
        Settings(registry_host=template)
