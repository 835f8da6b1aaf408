"""Does Python give the answers of the shared fixture, which Rust gave? tests/parity/README.md describes both files."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import quorate

HERE = Path(__file__).parents[2] / "tests/parity"
OPERATIONS = json.loads((HERE / "operations.json").read_text(encoding="utf-8"))
ANSWERS = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))

HANDLES = (quorate.KnowledgeBase, quorate.Embedder, quorate.AgentRegistry, quorate.Model)
POSITIONAL = {"Embedder": "source", "Model": "name", "ScriptedModel": "replies"}
LOCAL = HERE.parents[1] / "agents/models/tests/fixtures/local"


def member(value, name):
    """A member of what a call gave, under the name that the fixture gives it."""
    if isinstance(value, Mapping):
        found = {str(key): item for key, item in value.items()}
        return found[name]
    found = getattr(value, name)
    if name == "explain":
        found = found()
        return str(found) if isinstance(value, quorate.consensus.PanelScore) else found
    return found


def compare(expected, found, path):
    """Walks along the answer; ``found`` may have more members."""
    if isinstance(expected, dict):
        if isinstance(found, Mapping):
            assert {str(key) for key in found} >= set(expected), path
        for name, value in expected.items():
            compare(value, member(found, name), f"{path}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, (Sequence, np.ndarray)) and not isinstance(found, str), (path, found)
        assert len(found) == len(expected), (path, found)
        for i, value in enumerate(expected):
            compare(value, found[i], f"{path}[{i}]")
    elif isinstance(expected, (int, float)) and not isinstance(expected, bool):
        assert not isinstance(found, bool), path
        assert abs(found - expected) <= 1e-6 * max(1.0, abs(expected)), (path, expected, found)
    else:
        assert type(found) is type(expected) and found == expected, (path, expected, found)


def in_code_points(answer, kb):
    """An answer with its offsets as Python counts."""
    if isinstance(answer, list):
        return [in_code_points(one, kb) for one in answer]
    if isinstance(answer, dict) and "citations" in answer:
        return {**answer, "citations": in_code_points(answer["citations"], kb)}
    if isinstance(answer, dict) and {"doc_id", "start", "end"} <= set(answer):
        text = kb.get(answer["doc_id"]).text.encode()
        converted = {name: len(text[: answer[name]].decode()) for name in ("start", "end")}
        return {**answer, **converted}
    return answer


@quorate.tool(schema={"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]})
def lookup(code):
    """What a code means."""
    return {"code": code, "means": "a catheter"}


@quorate.tool(effect="write", schema={"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]})
def send(code):
    """Sends a letter."""
    return "sent"


def runs(replies, documents, question, options, decisions):
    """Asks, goes on with decisions where there are any, and tells the answer and the events of the journal."""
    kb = model = None
    if documents is not None:
        kb = quorate.open(None)
        kb.add(documents)
    if replies is not None:
        model = quorate.ScriptedModel(replies, id="scripted:parity", price={"input": 1, "output": 2})
    runtime = quorate.Runtime(kb=kb, model=model, tools=[lookup, send])
    if "budget" in options:
        options = {**options, "budget": quorate.Budget(**options["budget"])}
    try:
        answer = runtime.ask(question, **options)
    except TypeError as error:
        raise quorate.InvalidInput("invalid_argument", str(error)) from error
    if decisions:
        answer = runtime.resume(answer.run_id, decisions)
    return {"answer": answer, "events": [event.type for event in runtime.run(answer.run_id).events()]}


def says(name, replies):
    return quorate.ScriptedModel(replies, id=f"scripted:{name}", price={"input": 1, "output": 2})


def panels(question, members, judge, documents, options):
    """Asks a panel, and tells what it came to, and how many events of each type its journal has."""
    kb = model = None
    if documents is not None:
        kb = quorate.open(None)
        kb.add(documents)
    else:
        model = says("nobody", [])
    if "budget" in options:
        options = {**options, "budget": quorate.Budget(**options["budget"])}
    if members is not None:
        seated = [{**one, "model": says(one["id"], one["says"])} if "says" in one else one for one in members]
        members = [quorate.Member(**{name: value for name, value in one.items() if name != "says"}) for one in seated]
    judge = None if judge is None else says("judge", judge)
    runtime = quorate.Runtime(kb=kb, model=model)
    try:
        panel = runtime.panel(question, members=members, judge=judge, **options)
    except TypeError as error:
        raise quorate.InvalidInput("invalid_argument", str(error)) from error
    events = collections.Counter(event.type for event in runtime.run(panel.run_id).events())
    return {"panel": panel, "events": dict(events)}


def perform(operation, handles, folder):
    args = dict(operation["args"])
    on = operation["on"]
    if operation["call"] == "runs":
        return runs(**args)
    if operation["call"] == "panels":
        return panels(**args)
    target = {"quorate": quorate, "consensus": quorate.consensus}.get(on) or handles[on]
    if "place" in args:
        args["place"] = folder / args["place"]
    if isinstance(args.get("embedder"), dict):
        args["embedder"] = quorate.Embedder(**args["embedder"]["embedder"])
    if isinstance(args.get("vector"), dict):
        args["vector"] = target.embedder.embed_query(args["vector"]["vector_of"])
    if isinstance(args.get("name"), dict):
        args["name"] = f"local:{LOCAL / args['name']['local']}"
    first = POSITIONAL.get(operation["call"])
    positional = [args.pop(first)] if first else []
    found = getattr(target, operation["call"])(*positional, **args)
    if isinstance(found, quorate.ModelStream):
        found = list(found)
    if "keep" in operation:
        handles[operation["keep"]] = found
    return None if isinstance(found, HANDLES) else found


def test_operations_give_their_answers(tmp_path):
    assert OPERATIONS["format"] == ANSWERS["format"] == 1
    handles = {}
    wrong = []
    for operation in OPERATIONS["operations"]:
        name = operation["name"]
        expected = ANSWERS["answers"][name]
        try:
            try:
                found = perform(operation, handles, tmp_path)
            except quorate.QuorateError as error:
                found = {"error": error.code}
            if isinstance(handles.get(operation["on"]), quorate.KnowledgeBase):
                expected = in_code_points(expected, handles[operation["on"]])
            compare(expected, found, name)
        except (AssertionError, AttributeError, KeyError, TypeError) as error:
            wrong.append(f"{name}: {error!r}")
    if wrong:
        pytest.fail("\n".join(wrong))
    assert set(ANSWERS["answers"]) == {operation["name"] for operation in OPERATIONS["operations"]}
    for handle in handles.values():
        if hasattr(handle, "close"):
            handle.close()


def test_the_comparison_can_fail():
    for expected, found in (
        (1.0, 1.00001), ("a", "b"), ([1], [1, 2]), ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}), (None, 0), (True, 1), (1, True),
    ):
        with pytest.raises(AssertionError):
            compare(expected, found, "")
    compare({"a": [1.0, None, "x", True]}, {"a": [1.0000001, None, "x", True], "b": 1}, "")
    assert dataclasses.is_dataclass(quorate.consensus.PanelScore)
