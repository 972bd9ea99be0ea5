"""Every setting, read once into one frozen ``Settings``: flag > environment > TOML file > default.

The documentation of settings (``docs/settings.md``) and ``moorage config --schema`` are made from this module.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

MEBIBYTE = 1024 * 1024

_REGION = "[a-z]{2}(-[a-z]+)+-[0-9]+"

Count = Annotated[int, Field(ge=0)]
RegistryName = Annotated[str, Field(pattern=f"^[0-9]{{12}}/{_REGION}$")]


class Quotas(BaseModel):
    """ECR's quotas and IAM's. 0 lifts one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repositories: Count = Field(100_000, description="Repositories per registry.")
    images_per_repository: Count = Field(100_000, description="Images per repository.")
    tags_per_image: Count = Field(1_000, description="Tags per image.")
    layer_parts: Count = Field(4_200, description="Parts per layer upload of the JSON API.")
    layer_bytes: Count = Field(52_000 * MEBIBYTE, description="Bytes per layer.")
    open_uploads: Count = Field(10_000, description="Unfinished layer uploads per account.")
    users_per_account: Count = Field(5_000, description="Users per account.")
    roles_per_account: Count = Field(1_000, description="Roles per account.")
    policies_per_account: Count = Field(1_500, description="Managed policies per account.")
    providers_per_account: Count = Field(100, description="OIDC identity providers per account.")
    attached_policies_per_principal: Count = Field(
        10, description="Managed policies attached to a user or role."
    )
    access_keys_per_user: Count = Field(2, description="Access keys per user, active or not.")


class Settings(BaseSettings):
    """What one server runs with."""

    model_config = SettingsConfigDict(
        env_prefix="MOORAGE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        Path("moorage-data"), description="Directory of the database, the blobs and the keys."
    )
    #: NoDecode: in the environment it is a list with commas, not JSON.
    listen: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1:5050", "[::1]:5050"),
        description="Addresses to listen on, as host:port or [host]:port; in the environment with commas between.",
    )
    account_id: str = Field(
        "000000000000", pattern="^[0-9]{12}$", description="Account of the default registry, twelve digits."
    )
    region: str = Field("us-east-1", pattern=f"^{_REGION}$", description="Region of the default registry.")
    registry_host: str = Field(
        "",
        description="Template of registry host names with {account} and {region}, optionally starting with https://. "
        "Empty: localhost:<port> for the default registry and <account>.dkr.ecr.<region>.localhost:<port> for others.",
    )
    hosts: dict[str, RegistryName] = Field(
        default_factory=dict,
        description="Further host names, each with the registry it stands for as account/region; in the environment "
        "a JSON object.",
    )
    workers: Count = Field(0, description="Web worker processes; 0 means as many as cores, at most 4.")
    database: str = Field(
        "",
        description="URL of the metadata database, postgresql://user:password@host:5432/name; empty means SQLite in "
        "the data directory. A password is safer in the environment or the file than in a flag.",
        repr=False,
    )
    master_key: str = Field(
        "",
        description="Key that seals every secret in the database: base64 of 32 bytes (openssl rand -base64 32). "
        "Needed with PostgreSQL; empty with SQLite means the file master.key in the data directory.",
        repr=False,
    )
    storage: str = Field("", description="URL of the blob store; empty means files in the data directory.")
    tls_cert: Path | None = Field(
        None, description="PEM file with the certificate chain; serves TLS with tls_key."
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key.")
    dev: bool = Field(
        False, description="Accept any credentials and create repositories on push. Loopback only."
    )
    dev_beyond_loopback: bool = Field(False, description="Let dev listen on addresses that others can reach.")
    anonymous_pull: bool = Field(
        False,
        description="Let a repository whose policy allows everybody (Principal *) be pulled without credentials.",
    )
    root_access_key_id: str = Field(
        "", description="Root access key of the default account, taken at first start."
    )
    root_secret_access_key: str = Field("", description="Secret of that key, taken at first start.", repr=False)
    oidc_private_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins of OIDC issuers, as https://host or https://host:port, that may have addresses which are "
        "not public. As http://host:port: also tokens whose iss begins so, without TLS, for tests alone; the provider is "
        "created as https://host:port all the same. In the environment with commas between.",
    )
    metrics_token: str = Field(
        "", description="Bearer token that lets others than loopback read /metrics.", repr=False
    )
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Least severe log level written."
    )
    accept_identical_push: bool = Field(
        False,
        description="Answer 201 when the very same image is pushed again to an immutable tag over /v2/.",
    )
    upload_expiry_hours: Annotated[int, Field(ge=1)] = Field(
        24, description="Hours after which an unfinished upload that received nothing is removed."
    )
    drain_seconds: Count = Field(60, description="Seconds that a stopping server gives running requests.")
    requests_per_worker: Count = Field(
        256,
        description="Requests that a web worker works on at once, without those that wait for their clients; what is "
        "beyond is told to come back in a second (429, ThrottlingException). 0: no bound.",
    )
    queue_seconds: Annotated[float, Field(ge=0)] = Field(
        1.0,
        description="Seconds that a web worker serves those who came together; those whom it has not reached by then "
        "are told to come back. 0: no bound.",
    )
    connections_per_worker: Count = Field(
        4096,
        description="Connections to a web worker; requests on those beyond are told to come back in a second. Lowered "
        "where the system grants too few open files (3 a connection). 0: as many as those are good for.",
    )
    disk_reserve_bytes: Count = Field(
        1024 * MEBIBYTE, description="Free bytes below which pushes are refused; pulls and deletes go on."
    )
    audit_reads: str = Field(
        "all",
        pattern="^(all|denied|off)$",
        description="Which calls that only read are audited: all, those that were denied, or none (off). Changes, made "
        "or tried, are audited always.",
    )
    audit_file: str = Field(
        "",
        description="File of the audit log; empty means audit/audit.log in the data directory, - standard output.",
    )
    audit_file_bytes: Annotated[int, Field(ge=64 * 1024)] = Field(
        100 * MEBIBYTE, description="Bytes of the audit file at which another is begun."
    )
    audit_files_kept: Annotated[int, Field(ge=1, le=1_000)] = Field(
        20, description="Audit files that are kept beside the one that is written, as audit.log.1 and on."
    )
    audit_retention_hours: Count = Field(
        24, description="Hours that the record of a change stays in the database once it is in the audit log."
    )
    quotas: Quotas = Field(default_factory=Quotas, description="Quotas, with AWS's values; 0 lifts one.")

    @field_validator("listen", "oidc_private_origins", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return (tuple(value.split(",")) if value else ()) if isinstance(value, str) else value

    @field_validator("listen")
    @classmethod
    def _check_ports(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one address is needed")
        for address in value:
            host, _, port = address.rpartition(":")
            if not (host and port.isascii() and port.isdigit()):
                raise ValueError(f"{address!r} is not of the form host:port, as 127.0.0.1:5050 is")
        return value

    @field_validator("oidc_private_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
                raise ValueError(f"{origin!r} is not of the form https://host:port, in small letters")
        return value

    @field_validator("registry_host")
    @classmethod
    def _check_template(cls, value: str) -> str:
        host = re.sub(r"^https?://", "", value).replace("{account}", "a").replace("{region}", "r")
        if value and not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", host):
            raise ValueError("a host name, with {account} and {region} where they belong, and perhaps a port")
        return value

    @field_validator("database")
    @classmethod
    def _check_database(cls, value: str) -> str:
        # What is wrong is said without the value: it may hold a password.
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("postgresql://… is needed, or nothing for SQLite in the data directory")
        return value

    @field_validator("master_key")
    @classmethod
    def _check_master_key(cls, value: str) -> str:
        if value and not re.fullmatch(r"\s*[A-Za-z0-9+/]{43}=\s*", value):
            raise ValueError("base64 of 32 bytes is needed: openssl rand -base64 32")
        return value

    @field_validator("storage")
    @classmethod
    def _refuse_unbuilt(cls, value: str) -> str:
        if value:
            scheme, separator, _ = value.partition("://")
            what = f"{scheme}:// is" if separator else "another blob store is"
            raise ValueError(f"{what} not built yet; leave it out to keep everything in the data directory")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if bool(self.root_access_key_id) != bool(self.root_secret_access_key):
            raise ValueError("root_access_key_id and root_secret_access_key go together")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the parent's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment and file are merged by ``load``; the class itself reads nothing."""
        return (init_settings,)

    @cached_property
    def port(self) -> int:
        """The port of the first listening address."""
        return int(self.listen[0].rsplit(":", 1)[1])


def load(flags: dict[str, Any], file: Path | None = None) -> Settings:
    """Merge flags over environment over TOML file over defaults, the quotas one by one.

    Raises ``pydantic.ValidationError`` with a sentence per wrong setting, ``pydantic_settings.SettingsError`` for a
    variable of the environment that cannot be read, ``OSError`` or ``tomllib.TOMLDecodeError`` for an unreadable file.
    """
    merged: dict[str, Any] = tomllib.loads(file.read_text()) if file else {}
    environment = EnvSettingsSource(Settings)()
    if isinstance(merged.get("quotas"), dict) and "quotas" in environment:
        environment["quotas"] = merged["quotas"] | environment["quotas"]
    merged |= environment
    merged |= {name: value for name, value in flags.items() if value is not None}
    return Settings(**merged)


#: What Kubernetes sets for a service that is called moorage.
_SERVICE_LINK = re.compile(r"MOORAGE_(.*_)?(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")


def unknown_variables(names: Iterable[str]) -> list[tuple[str, str]]:
    """Those of these environment variables that look like a setting and are none, each with the nearest, or "".

    A mistyped variable would otherwise be ignored, and the server run with a default that nobody wanted.
    """
    prefix = "MOORAGE_"
    known = {f"{prefix}{name.upper()}" for name in Settings.model_fields}
    unknown = [
        name
        for name in sorted(names)
        if name.upper().startswith(prefix)
        and name.upper().partition("__")[0] not in known
        and not _SERVICE_LINK.fullmatch(name.upper())
    ]
    return [(name, next(iter(difflib.get_close_matches(name.upper(), known, 1, 0.8)), "")) for name in unknown]
