"""Do workflows give in Python what they give in Rust? ``bindings/tests/workflows.rs`` writes the answers."""

from __future__ import annotations

import collections
import json
from pathlib import Path

import pytest

import quorate
from quorate import workflows as wf

HERE = Path(__file__).resolve().parents[2] / "tests" / "parity"
FIXTURE = json.loads((HERE / "workflows.json").read_text(encoding="utf-8"))
ANSWERS = json.loads((HERE / "workflow_answers.json").read_text(encoding="utf-8"))
TOLD = ("id", "kind", "title", "within", "status", "visit", "attempts", "signal", "code")


def engine(clock=None):
    def flaky(args, ctx):
        if ctx.attempt < 3:
            raise quorate.Unavailable("rate_limited", "slow down")
        return args

    return wf.Engine(tools=[wf.Tool("echo", lambda args: args), wf.Tool("flaky", flaky)], clock=clock)


def ran(spec):
    """Starts a run, does what is to be done, and tells what came of it."""
    clock = wf.ManualClock(1000.0)
    with engine(clock) as eng:
        if spec["workflow"] is not None:
            eng.add(spec["workflow"])
        try:
            run = eng.start(spec["start"], spec["input"], **spec["options"])
        except TypeError as error:
            raise quorate.InvalidInput("invalid_argument", str(error)) from error
        does = {
            "until": lambda status: run.wait(60, until=status),
            "decide": lambda option, by, data: eng.reviews(run=run)[0].decide(option, by=by, data=data),
            "signal": run.signal,
            "cancel": run.cancel,
            "skip": run.skip,
            "advance": clock.advance,
        }
        for verb, *given in spec["then"]:
            does[verb](*given)
        status = run.wait(60)
        events = collections.Counter(entry.type for entry in run.journal() if entry.type != "heard")
        steps = []
        for step in run.steps():
            told = {name: step[name] for name in TOLD}
            # What experts came to has the ids of their runs.
            if step.kind not in ("agent_task", "panel_discussion", "parallel"):
                told["output"] = step.output
            steps.append(told)
        return {"status": status, "ending": run.ending(), "steps": steps, "events": dict(events)}


@pytest.mark.parametrize("spec", FIXTURE["runs"], ids=lambda spec: spec["name"])
def test_runs_give_the_answers_of_rust(spec):
    try:
        found = ran(spec)
    except quorate.QuorateError as error:
        found = {"error": error.code}
    assert found == ANSWERS[spec["name"]]


@pytest.mark.parametrize("spec", FIXTURE["problems"], ids=lambda spec: spec["name"])
def test_files_have_the_problems_of_rust(spec, tmp_path):
    for name, text in spec["files"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with engine() as eng:
        found = eng.load(tmp_path, spec["overlays"]).validate()
    assert [{name: one[name] for name in ("line", "at", "code", "message")} for one in found] == ANSWERS[spec["name"]]


def test_every_answer_is_looked_at():
    assert set(ANSWERS) == {spec["name"] for spec in FIXTURE["runs"] + FIXTURE["problems"]}
