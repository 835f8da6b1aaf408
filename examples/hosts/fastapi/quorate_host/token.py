"""How does one make a token to try the service with? ``python -m quorate_host.token --tenant acme --user ann``"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable

import jwt

from .auth import PERMISSIONS
from .settings import Settings


def make(settings: Settings, tenant: str, user: str, permissions: Iterable[str] = PERMISSIONS, roles: Iterable[str] = (), seconds: float = 3600) -> str:
    """A token signed by the secret of the settings."""
    if settings.jwt_secret is None:
        raise ValueError("tokens are made where the private key is; set QUORATE_HOST_JWT_SECRET to make one here")
    now = int(time.time())
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": user,
        "iat": now,
        "exp": now + int(seconds),
        settings.jwt_tenant_claim: tenant,
        "permissions": list(permissions),
        settings.jwt_roles_claim: list(roles),
    }
    return jwt.encode(claims, settings.jwt_secret, settings.algorithms[0])


def main() -> None:
    """Prints one."""
    parser = argparse.ArgumentParser(prog="python -m quorate_host.token", description=__doc__)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--permissions", default=",".join(PERMISSIONS), help="of read, write, review, admin; with commas between")
    parser.add_argument("--roles", default="", help="whose reviews the user may decide; with commas between")
    parser.add_argument("--seconds", type=float, default=3600)
    given = parser.parse_args()
    roles = [role for role in given.roles.split(",") if role]
    print(make(Settings.from_environment(), given.tenant, given.user, given.permissions.split(","), roles, given.seconds))


if __name__ == "__main__":
    main()
