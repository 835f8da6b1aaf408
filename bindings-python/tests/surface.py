"""Which calls does the Python package have, each with its parameters?

``python surface.py`` writes the part of Python of ``tests/surface/found.json``, the one table of what users call; the part of Node
is written by ``bindings-node/scripts/surface.mjs``. Tests compare both with what the packages export, and the drivers that
try hostile values go through them, so that no new call escapes.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
from pathlib import Path

import quorate

TABLE = Path(__file__).resolve().parents[2] / "tests" / "surface" / "found.json"
MODULES = ("quorate", "quorate.consensus", "quorate.telemetry", "quorate.aio", "quorate.workflows")


def parameters(function):
    """The names of the parameters, with ``*`` and ``**`` where they gather."""
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [marks.get(p.kind, "") + p.name for p in inspect.signature(function).parameters.values() if p.name != "self"]


def members(cls):
    """The public methods of a class, those of its own bases in the package too."""
    own = [base for base in cls.__mro__ if base.__module__.split(".")[0] == "quorate"]
    names = {name for base in own for name in vars(base) if not name.startswith("_")}
    return sorted(name for name in names if callable(inspect.getattr_static(cls, name)) or callable(getattr(cls, name, None)))


def surface():
    """``{module: {call: [parameter]}}``; a class is the call that makes one, its methods are ``Class.method``."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        calls = found[name] = {}
        for public in sorted(module.__all__):
            value = getattr(module, public)
            if inspect.ismodule(value) or not callable(value) or (isinstance(value, type) and issubclass(value, enum.Enum)):
                continue
            if not isinstance(value, type):
                calls[public] = parameters(value)
                continue
            try:
                calls[public] = parameters(value)
            except ValueError:
                # It is made by the library alone.
                calls[public] = []
            for method in members(value):
                calls[f"{public}.{method}"] = parameters(getattr(value, method))
    return found


if __name__ == "__main__":
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table["python"] = surface()
    # As the writer for Node does: its parameters have an order.
    TABLE.write_text(json.dumps({"node": table.get("node", {}), "python": table["python"]}, indent=1, ensure_ascii=False) + "\n")
    print(f"{TABLE}: {sum(map(len, table['python'].values()))} calls of quorate {quorate.__version__}")
