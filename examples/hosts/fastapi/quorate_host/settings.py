"""Where are the data, and may this process write?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What a process is told from outside."""

    folder: Path
    """The knowledge base; the agents lie beside it."""
    role: str = "writer"
    """``writer``: the one process that may write. ``reader``: any number beside it."""
    refresh_seconds: float = 1.0
    """How often a reader looks for what the writer has written."""
    catalog: str | None = "healthcare"
    """The shipped agents of a new registry; None for an empty one."""

    def __post_init__(self) -> None:
        if self.role not in ("writer", "reader"):
            raise ValueError(f"QUORATE_HOST_ROLE is '{self.role}'; it is 'writer' or 'reader'")
        if not self.refresh_seconds > 0:
            raise ValueError(f"QUORATE_HOST_REFRESH is {self.refresh_seconds}; it is a number of seconds above 0")

    @classmethod
    def from_environment(cls) -> Settings:
        """From ``QUORATE_HOST_FOLDER``, ``_ROLE``, ``_REFRESH`` and ``_CATALOG``."""
        return cls(
            folder=Path(os.environ.get("QUORATE_HOST_FOLDER", "kb")),
            role=os.environ.get("QUORATE_HOST_ROLE", "writer"),
            refresh_seconds=float(os.environ.get("QUORATE_HOST_REFRESH", "1")),
            catalog=os.environ.get("QUORATE_HOST_CATALOG", "healthcare") or None,
        )
