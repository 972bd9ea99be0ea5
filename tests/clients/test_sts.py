"""Pipelines that log in without any stored key: a token of an OIDC issuer, a role, and ``AWS_ENDPOINT_URL``.

The issuer is a real one, over TLS with an authority of its own. Clients are given what a job has, and nothing else.
"""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError

from tests.clients.boto import Boto
from tests.clients.command import CommandFailed, Ran, run
from tests.clients.command import moorage as program
from tests.serving import ACCOUNT, REGION, Credentials, serve
from tests.support.issuer import AUDIENCE, Issuer, issuer_certificate, serve_issuer

pytestmark = pytest.mark.clients

ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"


@dataclass(frozen=True)
class Pipeline:
    """A server that trusts an issuer, and a directory for the files of a job."""

    server: Boto
    issuer: Issuer
    directory: Path

    def environment(self, **claims: object) -> dict[str, str]:
        """What a job finds: its token in a file, the role and the endpoint."""
        file = self.directory / "token"
        file.write_text(self.issuer.sign(self.issuer.claims(int(time.time()), **claims)))
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "REGISTRY_AUTH_FILE": str(self.directory / "auth.json"),
            "AWS_ENDPOINT_URL": self.server.served.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ROLE_ARN": ROLE,
            "AWS_ROLE_SESSION_NAME": "job-7",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
        }

    def aws(self, *argv: str, **claims: object) -> Ran:
        """The AWS CLI, as a job runs it."""
        return run(["aws", "--output", "json", *argv], self.environment(**claims))

    def add_user(self, name: str) -> Credentials:
        """A new user with a key."""
        self.server.moorage("user", "create", name, "--output", "json")
        key = self.server.moorage("key", "create", "--user", name, "--output", "json")["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A role that the issuer's tokens for one repository may assume, and that may push and pull."""
    directory = tmp_path_factory.mktemp("sts")
    authority, tls = issuer_certificate(directory)
    with serve_issuer(tls) as issuer:
        settings = {"SSL_CERT_FILE": str(authority), "MOORAGE_OIDC_PRIVATE_ORIGINS": issuer.url}
        with serve(directory, environment=dict(os.environ) | settings) as served:
            made = Pipeline(Boto(served), issuer, directory)
            set_up(made)
            yield made


def set_up(pipeline: Pipeline) -> None:
    """What an operator types."""
    moorage, name = pipeline.server.moorage, pipeline.issuer.name
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{name}:aud": AUDIENCE, f"{name}:sub": "repo:team/app"}},
            },
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"},
                "Action": "sts:AssumeRole",
            },
        ],
    }
    file = pipeline.directory / "trust.json"
    file.write_text(json.dumps(trust))
    moorage("provider", "create", pipeline.issuer.url, "--audience", AUDIENCE, "--output", "json")
    moorage("role", "create", "builder", "--trust", str(file), "--output", "json")
    attach = ("policy", "attach", "AmazonEC2ContainerRegistryFullAccess", "--role", "builder")
    run([program(), *attach, "--data-dir", pipeline.server.served.data_dir], {})


def client(pipeline: Pipeline, credentials: dict[str, Any], service: str = "ecr") -> Any:
    """boto3 with temporary credentials."""
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=pipeline.server.served.url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_the_aws_cli_finds_token_and_role_by_itself(pipeline: Pipeline) -> None:
    """As in a pod with IRSA, or after configure-aws-credentials."""
    identity = pipeline.aws("sts", "get-caller-identity").json
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/job-7"


def test_boto3_finds_token_and_role_by_itself(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the default chain of credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in pipeline.environment().items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(botocore_session=botocore.session.Session())
    session.client("ecr").create_repository(repositoryName="sts/boto3")
    assert session.client("sts").get_caller_identity()["Arn"].endswith(":assumed-role/builder/job-7")


def test_another_repositorys_token_is_refused(pipeline: Pipeline) -> None:
    """By the role's trust policy, in words that say so."""
    with pytest.raises(CommandFailed, match="AccessDenied"):
        pipeline.aws("sts", "get-caller-identity", sub="repo:team/other")


def test_a_password_of_a_web_identity_opens_the_registry(pipeline: Pipeline) -> None:
    """What docker login sends, on both sides of what the role may."""
    password = pipeline.aws("ecr", "get-login-password").out.strip()
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, pipeline.server.served.url, "AWS", password)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    with opener.open(f"{pipeline.server.served.url}/v2/", timeout=30) as answer:
        assert answer.status == 200
    pipeline.aws("ecr", "create-repository", "--repository-name", "sts/password")
    with opener.open(f"{pipeline.server.served.url}/v2/sts/password/tags/list", timeout=30) as answer:
        assert json.loads(answer.read())["name"] == "sts/password"


def test_skopeo_signs_in_as_a_web_identity(pipeline: Pipeline) -> None:
    """The password of the pipeline, given to a real client."""
    password = pipeline.aws("ecr", "get-login-password").out.strip()
    address = pipeline.server.served.address
    login = ["skopeo", "login", "--tls-verify=false", "--username", "AWS", "--password-stdin", address]
    assert "Login Succeeded" in run(login, pipeline.environment(), stdin=password).out


def test_the_aws_cli_assumes_a_role_with_a_users_key(pipeline: Pipeline) -> None:
    """A profile with ``role_arn`` and ``source_profile``."""
    key = pipeline.add_user("alice")
    config = pipeline.directory / "config"
    config.write_text(
        f"[profile alice]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
        f"[profile role]\nrole_arn={ROLE}\nsource_profile=alice\nrole_session_name=by-alice\n"
    )
    environment = pipeline.environment() | {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "role"}
    for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME"):
        del environment[name]
    identity = run(["aws", "--output", "json", "sts", "get-caller-identity"], environment).json
    assert identity["Arn"].endswith(":assumed-role/builder/by-alice")


def test_boto3_reads_every_answer_of_sts(pipeline: Pipeline) -> None:
    """Assumed roles, web identities and users' own sessions, each good for a call."""
    sts = pipeline.server.client_of(pipeline.add_user("bob"), "sts")
    own = sts.get_session_token(DurationSeconds=900)["Credentials"]
    assert client(pipeline, own, "sts").get_caller_identity()["Arn"].endswith(":user/bob")
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=ROLE, RoleSessionName="bob")
    token = pipeline.issuer.sign(pipeline.issuer.claims(int(time.time())))
    answer = sts.assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="bob", WebIdentityToken=token, DurationSeconds=900
    )
    assert answer["SubjectFromWebIdentityToken"] == "repo:team/app"
    assert (
        client(pipeline, answer["Credentials"]).describe_repositories()["ResponseMetadata"]["HTTPStatusCode"]
        == 200
    )
    with pytest.raises(sts.exceptions.InvalidIdentityTokenException):
        sts.assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="bob", WebIdentityToken=token[:-8] + "AAAAAAAA"
        )


@pytest.mark.incident(12)
def test_neither_log_nor_audit_holds_a_token(pipeline: Pipeline) -> None:
    """Not the issuer's, nor the session's, nor a secret."""
    environment = pipeline.environment()
    token = Path(environment["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text()
    sts = boto3.client("sts", region_name=REGION, endpoint_url=pipeline.server.served.url)
    made = sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="secret", WebIdentityToken=token)
    hidden = [token, made["Credentials"]["SessionToken"], made["Credentials"]["SecretAccessKey"]]
    client(pipeline, made["Credentials"]).describe_repositories()
    served = pipeline.server.served
    files = [served.log, *(file for file in served.data_dir.rglob("*") if file.is_file())]
    assert [file for file in files for text in hidden if text.encode() in file.read_bytes()] == []
