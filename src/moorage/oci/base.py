"""``/v2/``: is this a registry, and is this token any good?"""

from typing import Final

from moorage.oci.call import Call
from moorage.services import accounts
from moorage.web.http import Response

_BODY: Final = b"{}"


async def get_base(call: Call) -> Response:
    """Say that this is a registry, to whoever holds a key that is still active.

    Raises ``CredentialsUnknown``, ``AccountSwitchedOff``.
    """
    if not call.caller.is_trusted:
        await call.context.database.read(accounts.find_key_holder, call.caller.access_key_id)
    return Response(200, [(b"content-type", b"application/json"), (b"content-length", b"2")], _BODY)
