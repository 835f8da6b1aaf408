"""A host whose model takes its time, for tests that cut it short: ``uvicorn --factory slow:app``."""

from __future__ import annotations

import json
import os
import time

import quorate
from quorate_host.app import create_app


def _say(request):
    time.sleep(float(os.environ.get("SLOW_SECONDS", "0.05")))
    said = " ".join(str(message["content"]) for message in request["messages"])
    if "choice" in json.dumps(request.get("output") or {}):
        return '{"choice": "yes", "confidence": 0.9}'
    if "SHOW" in said:
        return json.dumps([[message["role"], message["content"]] for message in request["messages"]])
    return "Five mg a day is what is given, by mouth, and with a meal."


def app():
    """The service."""
    return create_app(model=quorate.ScriptedModel(_say))
