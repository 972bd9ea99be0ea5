"""A real OIDC issuer on a loopback port: it publishes its keys and signs tokens with them."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from moorage.cli import certificates

AUDIENCE = "sts.amazonaws.com"
DISCOVERY = "/.well-known/openid-configuration"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key; the same for the same name, as making one takes long."""
    assert name
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A key on P-256; the same for the same name."""
    assert name
    return ec.generate_private_key(ec.SECP256R1())


def public(key: PrivateKey, key_id: str, **members: object) -> dict[str, Any]:
    """The public half as a JSON web key."""
    if isinstance(key, rsa.RSAPrivateKey):
        found: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        found = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": key_id, "use": "sig", **members}


class Issuer:
    """What it publishes can be changed by a test; ``asked`` are the paths that it was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys = [public(rsa_key("first"), "first"), public(ec_key("curve"), "curve")]
        self.documents: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.discover(issuer=url, jwks_uri=f"{url}/keys")

    @property
    def name(self) -> str:
        """Its URL without the scheme, as AWS names it."""
        return self.url.partition("://")[2]

    def discover(self, **members: str) -> None:
        """Say this in the discovery document."""
        self.documents[DISCOVERY] = (200, json.dumps(members).encode())

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body for a path."""
        self.asked.append(path)
        if path == "/keys" and path not in self.documents:
            return 200, json.dumps({"keys": self.keys}).encode()
        return self.documents.get(path, (404, b""))

    def claims(self, now: int, **claims: object) -> dict[str, object]:
        """Claims of a token that is good for ten minutes; ``now`` is seconds since the epoch."""
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "repo:team/app", "iat": now, "exp": now + 600}
        return {name: value for name, value in (usual | claims).items() if value is not None}

    def sign(
        self,
        claims: Mapping[str, object],
        *,
        key: PrivateKey | None = None,
        key_id: str | None = "first",
        algorithm: str = "RS256",
        **header: object,
    ) -> str:
        """A token, as true or false as the test wants it."""
        named = {} if key_id is None else {"kid": key_id}
        return jwt.encode(dict(claims), key or rsa_key("first"), algorithm, {**named, **header})


def issuer_certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """The file of an authority, and what an issuer at 127.0.0.1 serves TLS with by it."""
    authority = certificates.make_authority()
    pair = certificates.make_server(authority, ["127.0.0.1"])
    trusted, served = directory / "issuer-ca.pem", directory / "issuer.pem"
    trusted.write_bytes(authority.certificate_pem())
    served.write_bytes(pair.certificate_pem() + pair.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)
    return trusted, context


@contextmanager
def serve_issuer(tls: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """An issuer that answers while the block lasts, over TLS if it is given a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    issuer = Issuer(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
