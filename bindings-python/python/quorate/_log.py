"""How does what quorate says about its work reach :mod:`logging`?

The loggers are ``quorate.rag``, ``quorate.core`` and so on, below ``quorate``: ``warning`` when something was healed or worked
around (a damaged index that is built again), ``error`` when something could not be done, ``debug`` for the rest. The
circumstances are in the message, and by name in the record's attribute ``quorate``.
"""

from __future__ import annotations

import atexit
import logging

from ._quorate import deliver_last

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def deliver(level: str, target: str, text: str, message: str, fields: list[tuple[str, str]]) -> None:
    """Logs one event; called by the native half, on the thread of the call that it belongs to."""
    logging.getLogger(target).log(_LEVELS[level], "%s", text, extra={"quorate": {"event": message, **dict(fields)}})


atexit.register(deliver_last)
