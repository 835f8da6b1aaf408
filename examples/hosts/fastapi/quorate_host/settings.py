"""What is a process told from outside?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

SYMMETRIC = ("HS256", "HS384", "HS512")
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SECRET_BYTES = 32
"""A shorter secret can be guessed from one token."""


@dataclass(frozen=True)
class Settings:
    """What a process is told from outside."""

    folder: Path
    """The knowledge base; agents and the state of runs lie in it too."""
    jwt_secret: str | None = field(default=None, repr=False)
    """The secret by which tokens are signed (HS256 and its kin)."""
    jwt_keys: str | None = None
    """Instead of a secret: the address of a JWKS, or the path of a JWKS or of a public key (PEM)."""
    jwt_algorithms: tuple[str, ...] = ()
    """Which algorithms count; by default HS256 for a secret, RS256 and ES256 for keys."""
    jwt_issuer: str = "quorate"
    jwt_audience: str = "quorate"
    jwt_leeway: float = 30.0
    """By how many seconds clocks may differ."""
    jwt_tenant_claim: str = "tenant"
    jwt_roles_claim: str = "roles"
    role: str = "writer"
    """``writer``: the one process that may write. ``reader``: any number beside it."""
    refresh_seconds: float = 1.0
    """How often a reader looks for what the writer has written."""
    catalog: str | None = "healthcare"
    """The shipped agents of a new registry; None for an empty one."""
    workflows: Path | None = None
    """A folder of workflow files, beside those that ship."""
    model: str | None = None
    """``openai:NAME``, ``anthropic:NAME``, ``local:PATH``; None: sentences of the documents answer."""
    model_url: str | None = None
    """The address of the model's server, where it is not the provider's."""
    max_cost: float | None = None
    """US dollars that a run may spend at most, whatever the caller asks for."""
    max_seconds: float = 120.0
    """Seconds that a run may take at most."""
    rate: float = 50.0
    """Requests a second of each tenant; 0 is no limit."""
    burst: int = 100
    """Requests that may come at once."""
    runs: int = 16
    """Runs of a tenant that go on at once."""
    body_bytes: int = 8 << 20
    """The largest body. 8 MiB take the event loop less than 50 ms."""
    heartbeat_seconds: float = 15.0
    """After so long a silence a stream says that it is alive."""
    grace_seconds: float = 10.0
    """So long the end of the process waits for runs under way; then they are left to the next one."""
    resume: bool = True
    """Whether the writer goes on with runs whose process has ended."""
    otlp: str | None = None
    """Where traces go: the address of an OpenTelemetry collector."""
    log_level: str = "info"
    metrics_token: str | None = field(default=None, repr=False)
    """Who reads ``/metrics`` must bring this token; None: whoever reaches it."""

    def __post_init__(self) -> None:
        if self.role not in ("writer", "reader"):
            raise ValueError(f"QUORATE_HOST_ROLE is '{self.role}'; it is 'writer' or 'reader'")
        above = ("refresh_seconds", "max_seconds", "heartbeat_seconds", "burst", "runs", "body_bytes")
        for name, least in [*((name, 0.0) for name in above), ("rate", -1e-9), ("grace_seconds", -1e-9), ("jwt_leeway", -1e-9)]:
            value = getattr(self, name)
            if not least < value < float("inf"):
                raise ValueError(f"{_variable(name)} is {value}; it is a number {'above 0' if least == 0 else 'from 0 on'}")
        if (self.jwt_secret is None) == (self.jwt_keys is None):
            raise ValueError("set QUORATE_HOST_JWT_SECRET or QUORATE_HOST_JWT_KEYS: who calls must be known (README.md, Tokens)")
        if self.jwt_secret is not None and len(self.jwt_secret.encode()) < SECRET_BYTES:
            raise ValueError(f"QUORATE_HOST_JWT_SECRET has fewer than {SECRET_BYTES} bytes: openssl rand -hex 32")
        fit = SYMMETRIC if self.jwt_secret is not None else ASYMMETRIC
        # 'none' is in neither list; and a public key is never taken for a secret.
        for name in self.algorithms:
            if name not in fit:
                raise ValueError(f"QUORATE_HOST_JWT_ALGORITHMS names '{name}'; of what is set, these fit: {', '.join(fit)}")

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that count."""
        return self.jwt_algorithms or (("HS256",) if self.jwt_secret is not None else ("RS256", "ES256"))

    @property
    def state(self) -> Path:
        """Where runs and workflows are kept."""
        return self.folder / "state"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """From ``QUORATE_HOST_`` and the name of each setting in capitals, such as ``QUORATE_HOST_FOLDER`` or ``_JWT_SECRET``;
        ``refresh_seconds`` is ``_REFRESH``. An empty one is one that is not set."""
        given: dict[str, object] = {"folder": Path("kb")}
        for one in fields(cls):
            text = environment.get(_variable(one.name), "")
            if one.name == "catalog" and _variable(one.name) in environment:
                given[one.name] = text or None
            elif text:
                given[one.name] = _read(one.name, str(one.type), text)
        return cls(**given)  # type: ignore[arg-type]


def _variable(name: str) -> str:
    return "QUORATE_HOST_" + name.upper().replace("REFRESH_SECONDS", "REFRESH")


def _read(name: str, kind: str, text: str) -> object:
    try:
        if kind.startswith("float"):
            return float(text)
        if kind == "int":
            return int(text)
    except ValueError:
        raise ValueError(f"{_variable(name)} is '{text}'; it is a number") from None
    if kind == "bool":
        return text.lower() not in ("0", "false", "no", "off")
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if kind.startswith("Path") else text
