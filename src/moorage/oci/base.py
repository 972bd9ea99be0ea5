"""``/v2/``: is this a registry, and is this token any good?"""

from typing import Final

from moorage.oci.call import Call
from moorage.services import sessions
from moorage.web.http import Response

_BODY: Final = b"{}"


async def get_base(call: Call) -> Response:
    """Say that this is a registry, to whoever holds a key that is still active, or a session that is not over.

    Raises ``CredentialsUnknown``, ``AccountSwitchedOff``.
    """
    if not call.caller.is_trusted:
        await call.context.database.read(sessions.check_caller, call.caller)
    return Response(200, [(b"content-type", b"application/json"), (b"content-length", b"2")], _BODY)
