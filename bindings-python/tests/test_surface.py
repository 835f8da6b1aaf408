"""Do the three languages have the same calls with the same options, defaults and codes?

``tests/surface/found.json`` is what Python (``inspect``) and Node (its declarations) have; tests of both compare it with the packages.
``tests/surface/calls.json`` is the one table: every call by its name in Python, with its options and their defaults, and the languages
that have it. ``tests/surface/exceptions.json`` lists what one of them lacks, each with its reason; nothing else may differ, and no
exception may be left over. ``QUORATE_SURFACE=write pytest tests/test_surface.py`` writes the table anew.
"""

from __future__ import annotations

import fnmatch
import inspect
import json
import os
import re
from pathlib import Path

import quorate
from quorate import consensus, telemetry, workflows
from quorate._record import Record
from quorate._report import Report

ROOT = Path(__file__).resolve().parents[2]
FOUND = json.loads((ROOT / "tests" / "surface" / "found.json").read_text())
EXCEPTIONS = json.loads((ROOT / "tests" / "surface" / "exceptions.json").read_text())
TABLE = ROOT / "tests" / "surface" / "calls.json"

# Names of columns of a table that the declarations of Node list as members of `data`.
COLUMNS = {"item", "items", "rater", "task", "worker", "label", "value"}
# The modules of Python and the entry points of Node, by the prefix of their calls in the table.
MODULES = {"": quorate, "consensus.": consensus, "telemetry.": telemetry, "workflows.": workflows}
ENTRIES = {"": "quorate", "consensus.": "quorate/consensus", "telemetry.": "quorate/telemetry", "workflows.": "quorate/workflows"}
# What ratings take further, which Python's signatures gather.
RATINGS = {"raters", "values", "items", "weights", "duplicates", "domain", "form"}


def snake(name):
    """The name of a member in Python."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda m: "_" + m.group(1).lower(), name)


def call_of(name):
    """The name of a call in Python."""
    owner, dot, method = name.partition(".")
    if dot:
        return f"{owner}.{'to_json' if method == 'toJSON' else snake(method)}"
    return name if name[0].isupper() else snake(name)


def is_result(name, module):
    """Whether this is a class of results. What they hold is compared by ``tests/parity``, how they become tables by the tests of Python."""
    value = getattr(module, name)
    return isinstance(value, type) and issubclass(value, (Report, Record, list, int))


def python():
    """{call: {option: default}}"""
    out = {}
    for prefix, module in MODULES.items():
        for name, parameters in FOUND["python"][module.__name__].items():
            value = module
            for part in name.split("."):
                value = inspect.getattr_static(value, part) if isinstance(value, type) else getattr(value, part)
            value = getattr(value, "__func__", value)
            try:
                signature = inspect.signature(value).parameters
            except (TypeError, ValueError):
                signature = {}
            if is_result(name.split(".")[0], module):
                continue
            options = {}
            for parameter in parameters:
                bare = parameter.lstrip("*")
                if prefix == "consensus." and parameter == "**keywords":
                    options |= {name: None for name in sorted(RATINGS) if name not in options}
                    continue
                default = signature[bare].default if bare in signature else inspect.Parameter.empty
                default = list(default) if isinstance(default, tuple) else default
                options[bare] = default if isinstance(default, (bool, int, float, str, list)) else None
            out[prefix + name] = options
    return out


def node():
    """{call: {option}}"""
    out = {}
    for prefix, entry in ENTRIES.items():
        for name, parameters in FOUND["node"][entry].items():
            owner, module = name.split(".")[0], MODULES[prefix]
            if hasattr(module, owner) and is_result(owner, module):
                continue
            options = set()
            for parameter, members in parameters.items():
                given = {snake(member) for member in members}
                if parameter in ("agent", "definition"):
                    given = set()
                elif prefix == "consensus." and "form" in given | ({"data_form"} & given) or parameter in ("data", "items", "raters", "values"):
                    given -= COLUMNS - {"items"}
                if parameter != "options" and not (parameter == "which" and given):
                    options.add(snake(parameter))
                options |= given
            # In Python a task is cancelled, or Ctrl-C is pressed.
            out[prefix + call_of(name)] = options - {"signal"}
    return out


def rust():
    """The names of public functions, methods and types, as ``Type.method`` and bare."""
    names = set()
    for folder in ("core", "rag", "consensus", "agents/registry", "agents/models", "agents/runtime", "agents/workflows", "agents/mcp", "agents/state"):
        for path in sorted((ROOT / folder / "src").rglob("*.rs")):
            owner = None
            for line in path.read_text().splitlines():
                if found := re.match(r"impl(?:<[^>]*>)? (?:[\w:<>' ]+ for )?(\w+)", line):
                    owner = found.group(1)
                elif line == "}":
                    owner = None
                elif found := re.match(r"    pub (?:const )?fn (\w+)", line):
                    names.add(f"{owner}.{found.group(1)}")
                elif found := re.match(r"pub (?:const )?(?:fn|struct|enum|trait|type) (\w+)", line):
                    names.add(found.group(1))
    return names


class Excused:
    """The exceptions of one kind, and which of them were needed."""

    def __init__(self, kind):
        self.reasons = EXCEPTIONS[kind]
        self.used = set()

    def __contains__(self, name):
        fits = [pattern for pattern in self.reasons if fnmatch.fnmatchcase(name, pattern)]
        self.used.update(fits)
        return bool(fits)

    def left(self):
        return sorted(set(self.reasons) - self.used)


def test_every_call_and_option_is_there_in_all_languages():
    ours, theirs, core = python(), node(), rust()
    without = {language: Excused(f"not in {language}") for language in ("rust", "python", "node")}
    options = Excused("options")
    wrong, table = [], {}
    for name in sorted(ours.keys() | theirs.keys()):
        bare = name.removeprefix("consensus.").removeprefix("telemetry.").removeprefix("workflows.")
        has = {"rust": bare in core or f"{bare}.new" in core or f"{bare}.open" in core, "python": name in ours, "node": name in theirs}
        wrong += [f"{name} is not in {one}" for one, there in has.items() if not there and name not in without[one]]
        if has["python"] and has["node"]:
            mine, other = set(ours[name]), theirs[name]
            wrong += [f"{name}({one}) is in Python alone" for one in sorted(mine - other) if f"{name}({one})" not in options]
            wrong += [f"{name}({one}) is in Node alone" for one in sorted(other - mine) if f"{name}({one})" not in options]
        every = dict.fromkeys(sorted(theirs.get(name, set()) - set(ours.get(name, {})))) if name in ours else dict.fromkeys(sorted(theirs[name]))
        table[name] = {"in": [one for one, there in has.items() if there], "options": ours.get(name, {}) | every}
    assert wrong == []
    assert [one for each in (*without.values(), options) for one in each.left()] == [], "exceptions that nothing needs"
    written = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("QUORATE_SURFACE") == "write":
        TABLE.write_text(written)
    assert TABLE.read_text() == written, "run: QUORATE_SURFACE=write pytest tests/test_surface.py"


def test_what_rust_has_is_in_the_table():
    """The verbs of the main types, and the functions that the crate of consensus exports by name."""
    table, excused = json.loads(TABLE.read_text()), Excused("rust alone")
    names = {name for name in rust() if name.split(".")[0] in ("KnowledgeBase", "AgentRegistry") and "." in name}
    listed = re.findall(r"^pub use \w+::\{?([^;]*?)\}?;", (ROOT / "consensus/src/lib.rs").read_text(), re.M)
    names |= {f"consensus.{name}" for names in listed for name in re.findall(r"\b[a-z_]\w+", names)}
    assert sorted(name for name in names if name not in table and name not in excused) == []
    assert excused.left() == []


def test_the_codes_are_those_of_rust():
    codes = re.findall(r'^    \w+, "(\w+)", \w+, "', (ROOT / "core/src/error.rs").read_text(), re.M)
    assert len(codes) > 40
    assert list(quorate.ERROR_CODES) == codes
