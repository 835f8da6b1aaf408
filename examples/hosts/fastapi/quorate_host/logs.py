"""What is written of each request? One line of JSON, without secrets and without what was asked, found or answered."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any

from .context import request_id

_FIELDS = ("method", "route", "status", "ms", "tenant", "user", "code", "fault", "run_id", "kind", "error", "at", "signal", "count")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: of its arguments only the known fields, of exceptions their kind and places, not their words."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line.update({name: record.__dict__[name] for name in _FIELDS if name in record.__dict__})
        if record.exc_info and record.exc_info[1] is not None:
            line.update(kind_of(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)


def kind_of(error: BaseException) -> dict[str, Any]:
    """What is written of an exception: what it says may hold what was asked."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {"error": type(error).__name__, "at": [f"{frame.filename}:{frame.lineno}" for frame in frames]}


def install(level: str) -> None:
    """Has everything that is logged written to stderr as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = name != "uvicorn.access"
