"""Which request is being answered, for logs and problems?"""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The correlation id of the request that this task answers."""

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def correlation(given: str | None) -> str:
    """The caller's id where it is well-formed, else a new one: it is written to logs and headers."""
    return given if given is not None and WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
