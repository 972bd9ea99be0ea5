"""The password of docker login."""

from typing import Any

from moorage.auth import tokens
from moorage.auth.tokens import RegistryTokenClaims
from moorage.ecr.dispatch import Call, operation
from moorage.ecr.wire import timestamp
from moorage.services.access import authorize


@operation("GetAuthorizationToken")
async def get_authorization_token(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A token of twelve hours, or of what is left of the session that asks.

    It stands for the principal, so one serves every registry that is asked for.
    """
    caller, context = call.caller, call.context
    await context.database.read(authorize, caller, "ecr:GetAuthorizationToken", call.registry())
    expires_at = caller.request.received_at + tokens.REGISTRY_TOKEN_LIFETIME
    if caller.session is not None:
        expires_at = min(expires_at, caller.session.expires_at)
    claims = RegistryTokenClaims.of(caller, caller.request.received_at, expires_at)
    token = tokens.as_authorization_token(tokens.issue_registry_token(context.keyring, claims))
    return {
        "authorizationData": [
            {
                "authorizationToken": token,
                "expiresAt": timestamp(expires_at),
                "proxyEndpoint": context.hosts.proxy_endpoint(call.registry(registry_id)),
            }
            for registry_id in request.get("registryIds", [None])
        ]
    }
