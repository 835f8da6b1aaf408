"""Who asks, for which tenant, and what may they do?

:func:`verified` is the one dependency to replace where tokens are of another kind:
``app.dependency_overrides[auth.verified] = mine``, an (asynchronous) function that gives a :class:`Principal` or raises a
:class:`~quorate_host.errors.HostError`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .errors import HostError
from .settings import Settings

if TYPE_CHECKING:
    from .host import Host

PERMISSIONS = ("read", "write", "review", "admin")
"""``admin`` has the others too."""
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TOKEN_BYTES = 16_384


@dataclass(frozen=True)
class Principal:
    """Who asks."""

    tenant: str
    user: str
    permissions: frozenset[str]
    roles: frozenset[str] = frozenset()
    """The roles whose reviews the user may decide."""

    def may(self, permission: str) -> bool:
        """Whether the user has a permission."""
        return permission in self.permissions or "admin" in self.permissions


class Verifier:
    """Reads tokens (JWT, RFC 7519). What they say counts only once signature, issuer, audience and time have been checked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remote: jwt.PyJWKClient | None = None
        self._keys: dict[str | None, Any] = {}
        keys = settings.jwt_keys
        if keys is None:
            self._keys[None] = settings.jwt_secret
        elif keys.startswith(("https://", "http://")):
            self._remote = jwt.PyJWKClient(keys, cache_keys=True, lifespan=300, timeout=5)
        else:
            text = Path(keys).read_text()
            if text.lstrip().startswith("{"):
                self._keys = {one.key_id: one.key for one in jwt.PyJWKSet.from_json(text).keys}
            else:
                self._keys[None] = text

    async def read(self, token: str) -> Principal:
        """Whose token it is. Codes: ``token_invalid``, ``token_expired``."""
        if len(token) > TOKEN_BYTES:
            raise _refused("token_invalid", "the token is too long")
        try:
            key = await self._key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                leeway=self._settings.jwt_leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise _refused("token_expired", "the token has expired") from None
        except jwt.PyJWKClientConnectionError as error:
            raise HostError("unauthenticated", "the keys of tokens cannot be read now", {"retry-after": "5"}) from error
        # Which check has failed is told to nobody who brings a wrong token; some faults of keys are no PyJWTError.
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            raise _refused("token_invalid", "the token cannot be used") from None
        return self._principal(claims)

    async def _key(self, token: str) -> Any:
        if self._remote is not None:
            return (await asyncio.to_thread(self._remote.get_signing_key_from_jwt, token)).key
        if None in self._keys:
            return self._keys[None]
        named = jwt.get_unverified_header(token).get("kid")
        if named not in self._keys:
            raise jwt.InvalidKeyError("no such key")
        return self._keys[named]

    def _principal(self, claims: dict[str, Any]) -> Principal:
        tenant, user = claims.get(self._settings.jwt_tenant_claim), claims["sub"]
        if not isinstance(tenant, str) or not TENANT.fullmatch(tenant):
            raise _refused("token_invalid", f"the token names no tenant (claim '{self._settings.jwt_tenant_claim}')")
        if not isinstance(user, str) or not 0 < len(user) <= 200 or not user.isprintable():
            raise _refused("token_invalid", "the token names no user")
        given = _words(claims.get("permissions")) | _words(claims.get("scope"))
        return Principal(tenant, user, given & frozenset(PERMISSIONS), _words(claims.get(self._settings.jwt_roles_claim)))


def _words(given: Any) -> frozenset[str]:
    """A claim that is a list, or words with spaces between."""
    words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
    return frozenset(word for word in words if isinstance(word, str))


def _refused(code: str, message: str) -> HostError:
    return HostError(code, message, {"www-authenticate": f'Bearer error="invalid_token", error_description="{message}"'})


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A JWT with tenant, sub, permissions and roles.")


async def verified(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Principal:
    """Who asks, by the token in the header ``Authorization``. Replace this one for tokens of another kind."""
    host: Host = request.app.state.host
    if given is None:
        raise HostError("unauthenticated", "a token is expected: Authorization: Bearer ...", {"www-authenticate": "Bearer"})
    return await host.verifier.read(given.credentials)


def needs(permission: str) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """A dependency: who asks, who must have this permission, and whose tenant must not ask too often."""

    async def allowed(request: Request, who: Annotated[Principal, Depends(verified)]) -> Principal:
        host: Host = request.app.state.host
        state = request.scope["state"]
        state["tenant"], state["user"] = who.tenant, who.user
        state["headers"] = host.rates.spend(who.tenant)
        if not who.may(permission):
            raise HostError("forbidden", f"this needs the permission '{permission}'")
        return who

    return allowed
