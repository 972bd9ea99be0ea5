"""Whether what listens on an address is a Moorage, as far as can be told without credentials."""

import http.client
import ssl
from typing import Final

from moorage.web.listen import Address

#: Seconds for each try: without TLS, then with it.
SECONDS: Final = 1.0

_TYPE: Final = "text/plain; charset=utf-8"


def answers_like_us(address: Address) -> bool:
    """Whether ``/livez`` there has the answer that ours has (``web/health``)."""
    plain = http.client.HTTPConnection(address.host, address.port, timeout=SECONDS)
    encrypted = http.client.HTTPSConnection(address.host, address.port, timeout=SECONDS, context=_unchecked())
    try:
        return _ask(plain) or _ask(encrypted)
    except TimeoutError:
        return False  # Whoever waits for a handshake does not let plain HTTP wait.


def _unchecked() -> ssl.SSLContext:
    """Nothing is sent that has to be kept, and whatever the certificate is for, it is not for an IP address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ask(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        told = (answer.status, answer.headers["content-type"], answer.headers["cache-control"], answer.read(4))
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return told == (200, _TYPE, "no-store", b"ok\n")
