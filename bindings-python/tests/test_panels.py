"""Do panels of scripted and offline members answer from Python, go on after a kill, and say what went wrong?"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import quorate
from quorate import Budget, Member, Runtime, ScriptedModel

TYPES = ["parallel", "sequential", "consensus", "debate", "socratic", "delphi"]
OPTIONS = ["yes", "no"]


def asked(request):
    """What a request asks for: ``ballot``, ``statement``, ``verdict``, ``question``, ``answer``, ``synthesis`` or ``seeds``."""
    return re.search(r'"title":"(\w+)"', request["messages"][0]["content"][-1]["text"])[1]


def said(request, ballot):
    """The ballot where one is asked for; else something of the form asked for."""
    found = {
        "ballot": ballot,
        "verdict": {"reason": "it is clearer", "winner": "first"},
        "synthesis": {"text": "All is said."},
        "answer": {"text": "So it is.", "claims": [{"claim": 1, "status": "open"}]},
    }
    return json.dumps(found.get(asked(request), {"text": "This is a statement."}))


def ballot(choice, confidence=0.8, reason="because"):
    return {"choice": choice, "confidence": confidence, "reasons": [{"text": reason}]}


def rating(number, confidence=0.8, reason="because"):
    return {"number": number, "confidence": confidence, "reasons": [{"text": reason}]}


def member(id, given, **more):
    """A member with a model of its own that always gives this ballot."""
    return Member(id, model=ScriptedModel(lambda request: said(request, given), id=f"scripted:model-of-{id}"), **more)


def five(kind):
    if kind == "delphi":
        return [member(f"m{i}", rating(n)) for i, n in enumerate([7, 7, 8, 8, 2])]
    return [member(f"m{i}", ballot(c)) for i, c in enumerate(["yes", "yes", "yes", "yes", "no"])]


@pytest.fixture
def rt():
    return Runtime(model=ScriptedModel(lambda request: said(request, ballot("yes", 0.6))))


def asks(kind):
    return {} if kind == "delphi" else {"options": OPTIONS}


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_answers(rt, kind):
    panel = rt.panel("Is it?", type=kind, members=five(kind), **asks(kind))
    assert (panel.type, panel.status, panel.question, panel.dropped) == (kind, "done", "Is it?", [])
    assert panel.score.decision == (7.0 if kind == "delphi" else "yes")
    assert type(panel.score) is type(panel.baseline) is quorate.consensus.PanelScore
    assert panel.rounds[0].stage == "blind" and [one.round for one in panel.rounds] == list(range(1, len(panel.rounds) + 1))
    assert all(isinstance(one, quorate.PanelRound) for one in panel.rounds)
    blind = [one for one in panel.ballots if one.round == 1]
    assert sorted(one.member for one in blind) == ["m0", "m1", "m2", "m3", "m4"]
    assert [one.member for group in panel.minority for one in group.ballots if one.holds in ("no", "2")] == ["m4"]
    assert panel.minority[0].ballots[0].reasons[0].text == "because"
    assert {one.id: (one.role, one.counts) for one in panel.members}["m0"] == ("expert", 1.0)
    assert {one.kind for one in panel.log} <= {"opening", "response", "rebuttal", "summary", "question", "ballot"}
    assert panel.usage.input > 0 and panel.cost is None
    assert panel.conformity.flips == 0 and panel.conformity.to_majority == 0
    assert panel.run_id == rt.runs()[-1].run_id and rt.runs()[-1].kind == "panel"
    own = {"sequential": "order", "debate": "verdict", "socratic": "claims"}.get(kind)
    assert own is None or getattr(panel, own)
    if kind == "delphi":
        assert panel.rounds[-1].delphi["items"][0].median == 7.0 and panel.stopped_by
    if kind == "debate":
        # A judge that always takes the first makes a tie.
        assert (panel.verdict.winner, panel.verdict.flipped) == (None, True)


def test_a_score_is_that_of_score_panel(rt):
    panel = rt.panel("Is it?", members=five("parallel"), options=OPTIONS, truth="no")
    ballots = [{"voter": one.member, "choice": one.position, "confidence": one.confidence, "weight": one.weight} for one in panel.ballots]
    groups = {one.id: one.group for one in panel.members}
    expected = quorate.consensus.score_panel(ballots, options=OPTIONS, groups=groups)
    # Its arithmetic names the ballots in an order of its own.
    assert panel.score.to_dict() == expected.to_dict()
    assert panel.score.explain().splitlines()[0] == expected.explain().splitlines()[0] == "5 choice ballots, weight 5"
    assert panel.baseline == panel.score


def test_members_that_share_a_model_are_no_independent_voters(rt):
    alone = rt.panel("Is it?", members=[f"m{i}" for i in range(5)], options=OPTIONS)
    assert alone.score.support == 1.0 and alone.score.effective_voters == 1.0
    assert (alone.score.groups.rho_is, alone.score.groups.rho) == ("assumed", 1.0)
    assert alone.score.groups.groups[0].voters == [f"m{i}" for i in range(5)]
    half = rt.panel("Is it?", members=[f"m{i}" for i in range(5)], options=OPTIONS, rho=0.5)
    assert half.score.effective_voters == pytest.approx(5 / 3)
    assert rt.panel("Is it?", members=five("parallel"), options=OPTIONS).score.groups is None


def test_a_minority_stays_byte_for_byte_and_results_are_plain(rt, tmp_path):
    words = 'No: it says\n"<statement>" \U0001f600  – and  spaces stay.'
    members = [*five("parallel")[:4], member("lone", ballot("no", 0.9, words))]
    panel = rt.panel("Is it?", members=members, options=OPTIONS)
    assert panel.minority[0].ballots[0].reasons[0].text == words and words in panel.synthesis and str(panel) == panel.synthesis
    assert json.loads(panel.to_json())["minority"][0]["ballots"][0]["reasons"][0]["text"] == words
    assert panel["status"] == "done" and "score" in panel and dict(panel)["type"] == "parallel"
    again = pickle.loads(pickle.dumps(panel))
    assert again.to_dict() == panel.to_dict() and again.score == panel.score
    frame = panel.to_pandas()
    assert list(frame.columns) == list(panel.rows()[0]) and len(frame) == 5 and set(frame["position"]) == {"yes", "no"}
    assert frame["reasons"].iloc[4] == words and panel.rows()[4].member == "lone"
    panel.report(tmp_path / "panel.html")
    page = (tmp_path / "panel.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "&lt;statement&gt;" in page and "<statement>" not in page
    assert panel._repr_html_().startswith("<section") and repr(panel).startswith("PanelAnswer(")


def test_positions_are_plain_values(rt):
    def of(given, **more):
        return rt.panel("Which?", members=[member("a", given), member("b", given)], **more)

    options = ["a_b", "cD"]
    shares = of({"probability": {"a_b": 0.7, "cD": 0.3}}, options=options, ballot="probability", aggregate="particles")
    assert shares.ballots[0].position == {"a_b": 0.7, "cD": 0.3} and shares.ballot == "probability"
    assert set(shares.alternative.shares) == {"a_b", "cD"} and shares.alternative.method == "particles"
    assert of({"ranking": ["cD", "a_b"]}, options=options, ballot="ranking").ballots[0].position == ["cD", "a_b"]
    assert of({"ratings": {"a_b": 3, "cD": 8}}, options=options, type="delphi").ballots[0].position == {"a_b": 3.0, "cD": 8.0}
    assert of({"number": 4}, scale=(0, 10)).score.decision == 4.0
    words = of({"position": "Wait and see."})
    assert (words.score.decision, words.ballot) == ("Wait and see.", "text")


def test_truth_weights_and_seeds(rt):
    def follower(request):
        others = request["messages"][-1]["content"]
        return said(request, ballot("yes" if "Nobody has spoken yet" in others else "no", 0.9))

    lone = Member("lone", model=ScriptedModel(follower, id="scripted:lone"))
    members = [lone, *[member(f"m{i}", ballot("no")) for i in range(3)]]
    panel = rt.panel("Is it?", type="consensus", members=members, options=OPTIONS, truth="yes")
    found = panel.conformity
    assert (found.flips, found.to_majority, found.right_to_wrong, found.wrong_to_right) == (1, 1, 1, 0)
    assert found.collapse == 1.0 and found.adoption.low < found.adoption.value <= 1.0
    heavy = rt.panel("Is it?", members=[member("a", ballot("yes"), weight=2.0), member("b", ballot("no"))], options=OPTIONS)
    assert heavy.score.decision == "yes" and [one.weight for one in heavy.members] == [2.0, 1.0]

    known = [10.0 * n for n in range(1, 11)]

    def knows(near, choice):
        quantiles = [{"q05": n * near * 0.8, "q50": n * near * (0.95 if i % 2 else 1.05), "q95": n * near * 1.2} for i, n in enumerate(known)]
        given = {"answers": quantiles}
        return ScriptedModel(lambda r: json.dumps(given) if asked(r) == "seeds" else said(r, ballot(choice)), id=f"scripted:{near}")

    cooke = [Member("good", model=knows(1.0, "yes")), Member("bad", model=knows(100.0, "no"))]
    seeds = [{"question": f"How many at {n}?", "answer": n} for n in known]
    seeded = rt.panel("Is it?", members=cooke, options=OPTIONS, seeds=seeds)
    assert seeded.score.decision == "yes" and seeded.warnings == [], seeded.warnings
    assert {one.id: one.counts for one in seeded.members}["bad"] < 0.6


def test_moderators_and_observers_do_not_vote(rt):
    members = [*five("consensus"), Member("mo", role="moderator"), Member("ob", role="observer", weight=0.0)]
    panel = rt.panel("Is it?", type="consensus", members=members, options=OPTIONS)
    assert {one.member for one in panel.ballots}.isdisjoint({"mo", "ob"})
    roles = {one.id: (one.role, one.counts, one.chair) for one in panel.members}
    assert roles["mo"] == ("moderator", 0.0, True) and roles["ob"][:2] == ("observer", 0.0)
    chaired = rt.panel("Is it?", members=five("parallel"), options=OPTIONS, chair=Member("lead", model=ScriptedModel(lambda r: said(r, {})) ))
    assert [one.id for one in chaired.members if one.chair] == ["lead"]
    # A synthesis that leaves out the positions is written from the ballots.
    assert chaired.synthesis_by == "ballots" and "All is said." not in chaired.synthesis


@pytest.fixture
def label():
    kb = quorate.open(None)
    kb.add([
        {"id": "label", "title": "Label \U0001f600", "text": "\U0001f600 Metformin is contraindicated below an eGFR of 30. Metformin lowers blood glucose."},
        {"id": "other", "text": "Aspirin thins the blood."},
    ])
    return kb


def test_members_without_a_model_answer_by_the_sources(label):
    texts = {one.id: one.text for one in label.documents().documents} if hasattr(label.documents(), "documents") else {}
    rt = Runtime(kb=label)
    panel = rt.panel("Is metformin contraindicated below an eGFR of 30?", members=["ann", "bob"], options=["contraindicated", "safe"])
    assert panel.score.decision == "contraindicated" and panel.score.effective_voters == 1.0
    assert panel.citations and panel.citations[0].doc_id == "label" and panel.ballots[0].reasons[0].citations == ["[1]"]
    for one in panel.citations:
        assert label.get(one.doc_id).text[one.start : one.end] == one.text, texts
    assert {one.model for one in panel.members} == {"extractive"}
    silent = rt.panel("Who won the football world cup in 1998?", members=["ann", "bob"], options=["France", "Brazil"])
    assert (silent.status, silent.stopped_by, silent.score) == ("no_consensus", "quorum_missed", None)
    assert {one.reason for one in silent.dropped} == {"abstained"}
    nothing = rt.panel("Is it?", members=["ann"], options=OPTIONS, where="doc_id = 'none'")
    assert nothing.status == "no_consensus"


def test_who_is_asked_is_found_by_the_registry():
    rt = Runtime(registry=quorate.AgentRegistry(), model=ScriptedModel(lambda request: said(request, ballot("yes"))))
    panel = rt.panel("Is metformin safe in chronic kidney disease?", size=3, options=OPTIONS)
    assert 1 <= len(panel.members) <= 3 and all(one.why.startswith("score") for one in panel.members)
    with pytest.raises(quorate.NotFound) as refused:
        rt.panel("Is it?", members=["no-such-agent"], options=OPTIONS)
    assert refused.value.code == "unknown_id"


def test_streams_tell_what_happens(rt):
    with rt.stream.panel("Is it?", type="delphi", members=five("delphi"), rounds=2) as stream:
        events = list(stream)
        panel = stream.result()
    types = [event.type for event in events]
    assert types[0] == "run_start" and types[-1] == "end" and types.count("end") == 1
    assert types.count("round_start") == types.count("round_end") == len(panel.rounds)
    assert types.count("ballot") == len(panel.ballots)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    first = next(event for event in events if event.type == "ballot")
    assert first.round == 1 and first.position in (7.0, 8.0, 2.0) and first.agent.startswith("m") and first.reasons[0].text == "because"
    ends = [event for event in events if event.type == "round_end"]
    assert [one.result for one in ends] == panel.rounds and isinstance(ends[0].result, quorate.PanelRound)
    assert isinstance(events[-1].result, quorate.PanelAnswer) and events[-1].result == panel
    json.dumps(events[0].to_dict())
    journal = rt.run(panel.run_id).events()
    assert [one.type for one in journal] == types and journal[-1].result == panel


def test_a_run_of_a_panel_is_read_as_one(rt):
    panel = rt.panel("Is it?", members=five("parallel"), options=OPTIONS, title="The question")
    run = rt.run(panel.run_id)
    assert (run.info.kind, run.status, run.info.title) == ("panel", "done", "The question")
    assert run.panel() == run.answer() == panel
    assert rt.resume(panel.run_id) == rt.resume_panel(panel.run_id) == panel
    session = rt.panels()[-1]
    assert (session.run_id, session.query, session.type, session.status) == (panel.run_id, "Is it?", "parallel", "completed")
    assert [one.id for one in session.members] == ["m0", "m1", "m2", "m3", "m4"]
    with pytest.raises(quorate.QuorateError, match="does not wait for a decision") as refused:
        rt.resume(panel.run_id, {"call": "approve"})
    assert refused.value.code == "unknown_id"
    plain = Runtime(model=ScriptedModel(["x"])).ask
    answer = plain("x")
    other = plain.__self__
    with pytest.raises(quorate.InvalidInput, match="is no panel"):
        other.run(answer.run_id).panel()
    with pytest.raises(quorate.InvalidInput, match="is no panel"):
        other.resume_panel(answer.run_id)
    rt.delete(panel.run_id)
    assert all(one.run_id != panel.run_id for one in rt.panels())


def test_a_key_asks_once(rt):
    one, other = (rt.panel("Is it?", members=five("parallel"), options=OPTIONS, idempotency_key="k") for _ in range(2))
    assert one == other and len(rt.runs()) == 1


@pytest.mark.parametrize(
    ("given", "code", "names"),
    [
        ({"type": "Delphi"}, "invalid_argument", "type"),
        ({"type": 3}, "invalid_argument", "type"),
        ({"members": "ann"}, "invalid_argument", "members"),
        ({"members": ["ann", 3]}, "invalid_argument", r"members\[1\]"),
        ({"members": []}, "empty_input", "members"),
        ({"members": ["ann", "ann"]}, "duplicate_id", "ann"),
        ({"members": [f"m{i}" for i in range(65)]}, "too_large", "members"),
        ({"members": [Member("ann", role="observer")]}, "invalid_argument", "votes"),
        ({"members": None, "size": 0}, "invalid_argument", "size"),
        ({"rounds": 1.5}, "invalid_argument", "rounds"),
        ({"rounds": 7, "type": "delphi"}, "invalid_argument", "rounds"),
        ({"options": ["one"]}, "invalid_argument", "options"),
        ({"options": "yes"}, "invalid_argument", "options"),
        ({"options": ["a", "a"]}, "duplicate_id", "option"),
        ({"scale": (1,)}, "invalid_argument", "scale"),
        ({"scale": (9, 1)}, "invalid_argument", "scale"),
        ({"scale": (1, float("inf"))}, "not_finite", "scale"),
        ({"quorum": 0}, "invalid_argument", "quorum"),
        ({"quorum": float("nan")}, "not_finite", "quorum"),
        ({"quorum": "most"}, "invalid_argument", "quorum"),
        ({"anonymous": "yes"}, "invalid_argument", "anonymous"),
        ({"judge": "openai:x"}, "invalid_argument", "judge"),
        ({"chair": 1}, "invalid_argument", "chair"),
        ({"weights": "equal"}, "invalid_argument", "weights"),
        ({"weights": "calibrated"}, "invalid_argument", "registry"),
        ({"where": "doc_id = 'a'"}, "invalid_argument", "where"),
        ({"budget": 3}, "invalid_argument", "budget"),
        ({"seed": -1}, "invalid_argument", "seed"),
        ({"ballot": "vote"}, "invalid_argument", "ballot"),
        ({"ballot": "ranking"}, "invalid_argument", "ballot"),
        ({"aggregate": "ants"}, "invalid_argument", "aggregate"),
        ({"seeds": ["x"]}, "invalid_argument", "seeds"),
        ({"seeds": [{"question": " ", "answer": 1}]}, "empty_input", r"seeds\[0\]"),
        ({"rho": 2}, "invalid_argument", "rho"),
        ({"minority_threshold": -1}, "invalid_argument", "minority_threshold"),
        ({"similarity": 3}, "invalid_argument", "similarity"),
        ({"member_seconds": 0}, "invalid_argument", "member_seconds"),
        ({"title": 3}, "invalid_argument", "title"),
        ({"idempotency_key": 3}, "invalid_argument", "idempotency_key"),
    ],
)
def test_each_wrong_option_is_named(rt, given, code, names):
    with pytest.raises(quorate.QuorateError, match=names) as refused:
        rt.panel("Is it?", **{"members": ["ann", "bob"], **given})
    assert refused.value.code == code, str(refused.value)
    with pytest.raises(quorate.QuorateError, match=names):
        rt.stream.panel("Is it?", **{"members": ["ann", "bob"], **given}).result()
    assert rt.runs() == []


def test_wrong_members_and_questions_are_refused(rt):
    for bad in ({"id": " "}, {"id": 3}, {"id": "a", "role": "boss"}, {"id": "a", "weight": -1}, {"id": "a", "weight": "1"}, {"id": "a", "model": "x"}):
        with pytest.raises(quorate.InvalidInput):
            Member(**bad)
    with pytest.raises(quorate.QuorateError) as refused:
        rt.panel(" ", members=["ann"])
    assert refused.value.code == "empty_input"
    with pytest.raises(quorate.InvalidInput, match="question"):
        rt.stream.panel(3, members=["ann"])
    with pytest.raises(TypeError, match="judges"):
        rt.stream.panel("x", judges=3)
    with pytest.raises(quorate.InvalidInput, match="models"):
        rt.resume_panel("x", models={"ann": 3})
    with pytest.raises(quorate.NotFound):
        rt.resume_panel("no-such-run")
    with pytest.raises(quorate.InvalidInput):
        quorate._quorate.panel_page({"run_id": "x"}, False)


def test_missing_ballots_are_counted_and_named(rt):
    hang = threading.Event()

    def hangs(request):
        hang.wait(20)
        return "late"

    def raises(request):
        raise ValueError("no")

    def rambles(request):
        return "I would say that " * 50

    members = [
        member("a", ballot("yes")),
        member("b", ballot("yes")),
        Member("late", model=ScriptedModel(hangs)),
        Member("rambles", model=ScriptedModel(rambles)),
        Member("refuses", model=ScriptedModel(lambda request: {"text": "", "refusal": "I cannot."})),
        Member("raises", model=ScriptedModel(raises)),
    ]
    begun = time.monotonic()
    try:
        panel = rt.panel("Is it?", members=members, options=OPTIONS, quorum=0.3, member_seconds=1.5)
        reasons = {one.member: one.reason for one in panel.dropped}
        assert reasons == {"late": "late", "rambles": "output_invalid", "refuses": "refused", "raises": "callback"}
        assert panel.score.decision == "yes" and panel.status == "done" and panel.score.voters == 2
        frame = panel.to_pandas()
        assert dict(zip(frame["member"], frame["dropped"]))["refuses"] == "refused" and len(frame) == 6
        missed = rt.panel("Is it?", members=members, options=OPTIONS, member_seconds=1.5)
        assert (missed.status, missed.stopped_by, missed.score) == ("no_consensus", "quorum_missed", None)
        assert len(missed.ballots) == 2 and "has not decided" in missed.synthesis
    finally:
        hang.set()
    assert time.monotonic() - begun < 15


def test_a_budget_that_is_spent_leaves_what_was_said():
    price = {"input": 1.0, "output": 1.0}
    rt = Runtime(model=ScriptedModel(lambda request: said(request, rating(7)), price=price))
    members = [Member(f"m{i}") for i in range(4)]
    whole = rt.panel("Is it?", type="delphi", members=members, rounds=2)
    assert whole.cost > 0
    part = rt.panel("Is it?", type="delphi", members=members, rounds=2, budget=Budget(max_steps=6))
    assert (part.status, part.stopped_by) == ("partial", "max_steps")
    assert len(part.ballots) >= 4 and {one.reason for one in part.dropped} == {"budget_exceeded"} and part.baseline.decision == 7.0
    unpriced = Runtime(model=ScriptedModel(lambda request: said(request, rating(7))), budget=Budget(max_cost=1.0))
    with pytest.raises(quorate.QuorateError) as refused:
        unpriced.panel("Is it?", type="delphi", members=members)
    assert refused.value.code == "budget_unpriced"


def test_a_panel_is_cancelled_from_elsewhere(rt):
    asked_for, go = threading.Event(), threading.Event()

    def slow(request):
        asked_for.set()
        go.wait(20)
        return said(request, ballot("yes"))

    members = [member("a", ballot("yes")), Member("slow", model=ScriptedModel(slow))]
    found = []
    worker = threading.Thread(target=lambda: found.append(rt.panel("Is it?", members=members, options=OPTIONS)))
    worker.start()
    assert asked_for.wait(20)
    rt.cancel(rt.runs("running")[0].run_id)
    worker.join(20)
    go.set()
    assert found[0].status == "cancelled" and found[0].stopped_by == "cancelled"
    asked_for.clear()
    go.clear()
    stream = rt.stream.panel("Is it?", members=members, options=OPTIONS)
    events = []
    for event in stream:
        events.append(event)
        if event.type == "ballot":
            stream.cancel()
    go.set()
    assert events[-1].type == "cancelled" and events[-1].result.ballots[0].member == "a"
    assert stream.result().status == "cancelled"


def test_tenants_do_not_see_one_another(tmp_path):
    store = tmp_path / "state"
    model = ScriptedModel(lambda request: said(request, ballot("yes")))
    one, other = (Runtime(model=model, store=str(store), tenant=name) for name in ("one", "other"))
    panel = one.panel("Is it?", members=["ann", "bob"], options=OPTIONS)
    assert [run.run_id for run in one.panels()] == [panel.run_id]
    assert other.panels() == [] and other.runs() == []
    for call in (other.run, other.resume, other.resume_panel, other.cancel, other.delete):
        with pytest.raises(quorate.NotFound) as refused:
            call(panel.run_id)
        assert refused.value.code == "unknown_id"


def test_panels_are_awaited(rt):
    async def loops(request):
        await asyncio.sleep(0.01)
        return said(request, ballot("yes"))

    async def main():
        members = [*five("parallel"), Member("async", model=ScriptedModel(loops))]
        panel = await rt.aio.panel("Is it?", members=members, options=OPTIONS)
        assert panel.score.voters == 6 and panel.status == "done"
        types = []
        async with rt.aio.stream.panel("Is it?", members=members, options=OPTIONS) as stream:
            async for event in stream:
                types.append(event.type)
            result = await stream.result()
        assert types[-1] == "end" and result.score == panel.score
        assert (await rt.aio.panels())[-1].run_id == result.run_id
        assert await (await rt.aio.run(result.run_id)).aio.panel() == result
        assert await rt.aio.resume(result.run_id) == await rt.aio.resume_panel(result.run_id) == result
        many = await asyncio.gather(*(rt.aio.panel("Is it?", members=members, options=OPTIONS) for _ in range(20)))
        assert len({one.run_id for one in many}) == 20 and all(one.score == panel.score for one in many)

        begun, go = threading.Event(), threading.Event()

        def slow(request):
            begun.set()
            go.wait(20)
            return said(request, ballot("yes"))

        task = asyncio.ensure_future(rt.aio.panel("Is it?", members=[Member("slow", model=ScriptedModel(slow))], options=OPTIONS))
        await asyncio.to_thread(begun.wait, 20)
        run_id = rt.runs("running")[-1].run_id
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(400):
            if rt.run(run_id).status == "cancelled":
                break
            await asyncio.sleep(0.01)
        go.set()
        assert rt.run(run_id).status == "cancelled"
        with pytest.raises(quorate.InvalidInput):
            await rt.aio.panel("Is it?", members=3)

    asyncio.run(main())


def test_the_calls_show_their_options(rt):
    whole = list(inspect.signature(Runtime.panel).parameters)
    for twin in (rt.stream.panel, rt.aio.panel, rt.aio.stream.panel):
        assert [*inspect.signature(twin).parameters][-len(whole) + 1 :] == whole[1:]
    assert whole[2:15] == [
        "type", "members", "size", "rounds", "options", "scale", "quorum", "anonymous", "judge", "chair", "weights", "where", "budget",
    ]


KILLED = textwrap.dedent(
    """
    import json, os, re, sys, threading
    import quorate
    from quorate import Member, Runtime, ScriptedModel

    folder, kind, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
    lock, count = threading.Lock(), [0]

    def member(id, ballots):
        def say(request):
            with lock:
                count[0] += 1
                number = count[0]
            if limit and number > limit:
                # Whoever asks from here on is killed.
                open(os.path.join(folder, "ready"), "w").close()
                threading.Event().wait()
            title = re.search(r'"title":"(\\w+)"', request["messages"][0]["content"][-1]["text"])[1]
            blind = "Nobody has spoken yet" in request["messages"][-1]["content"]
            if title == "ballot":
                return json.dumps(ballots[0 if blind else 1])
            if title == "answer":
                return json.dumps({"text": "So it is.", "claims": [{"claim": 1, "status": "open"}]})
            if title == "verdict":
                return json.dumps({"reason": "clear", "winner": "second"})
            return json.dumps({"text": "This is a statement of " + id[::-1]})
        return Member(id, model=ScriptedModel(say, id=f"scripted:{id}", price={"input": 1.0, "output": 1.0}))

    def of(choice):
        return {"choice": choice, "confidence": 0.9, "reasons": [{"text": f"The reason for {choice}."}]}

    def rated(n):
        return {"number": n, "confidence": 0.9, "reasons": [{"text": f"The reason for {n}."}]}

    if kind == "delphi":
        members, more = [member(f"m{i}", [rated(n), rated(m)]) for i, (n, m) in enumerate([(2, 5), (7, 6), (8, 7), (9, 9)])], {}
    else:
        choices = [("yes", "yes"), ("no", "yes"), ("no", "no"), ("yes", "no")]
        members, more = [member(f"m{i}", [of(a), of(b)]) for i, (a, b) in enumerate(choices)], {"options": ["yes", "no"]}
    judge = member("judge", [{}, {}])
    runtime = Runtime(model=judge.model, store=os.path.join(folder, "state"))
    models = {one.id: one.model for one in members}
    """
)

BEGUN = KILLED + "runtime.panel('Is it?', type=kind, members=members, judge=judge.model, seed=3, **more)\n"

GOES_ON = KILLED + textwrap.dedent(
    """
    run = runtime.runs()[-1]
    before = [event.type for event in runtime.run(run.run_id).events()].count("ballot")
    try:
        runtime.resume_panel(run.run_id)
        lacking = None
    except quorate.InvalidInput as error:
        lacking = str(error)
    panel = runtime.resume_panel(run.run_id, models=models, judge=judge.model)
    print(json.dumps({"status": run.status, "before": before, "lacking": lacking, "calls": count[0], "panel": panel.to_dict()}))
    """
)


@pytest.mark.skipif(not hasattr(os, "kill") or sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize(("kind", "after"), [("delphi", 2), ("delphi", 6), ("consensus", 5), ("debate", 7), ("socratic", 9), ("sequential", 6)])
def test_a_killed_panel_goes_on_to_the_same_result(tmp_path, kind, after):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()

    def run(code, folder, limit=0):
        return subprocess.run([sys.executable, "-c", code, str(folder), kind, str(limit)], capture_output=True, text=True, timeout=120, check=True)

    undisturbed = KILLED + (
        "panel = runtime.panel('Is it?', type=kind, members=members, judge=judge.model, seed=3, **more)\n"
        "print(json.dumps({'calls': count[0], 'panel': panel.to_dict()}))\n"
    )
    expected = json.loads(run(undisturbed, whole).stdout)
    child = subprocess.Popen([sys.executable, "-c", BEGUN, str(killed), kind, str(after)])
    try:
        until = time.monotonic() + 100
        watching = Runtime(model=ScriptedModel([]), store=killed / "state")

        def answered():
            return sum(event.type == "usage" for run in watching.runs() for event in watching.run(run.run_id).events())

        # All that was answered is on the disk, and somebody is being asked.
        while not (killed / "ready").exists() or answered() < after:
            assert child.poll() is None and time.monotonic() < until
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    found = json.loads(run(GOES_ON, killed).stdout)
    assert found["status"] == "interrupted"
    assert re.search(r"needs the model 'scripted:m\d' of member 'm\d'", found["lacking"])
    assert found["calls"] == expected["calls"] - after, "a ballot that was given is asked for again"
    for one in (expected, found):
        del one["panel"]["run_id"]
    assert found["panel"] == expected["panel"]


def test_a_panel_in_memory_leaves_nothing_behind(rt):
    before = threading.active_count()
    for _ in range(3):
        rt.panel("Is it?", members=five("parallel"), options=OPTIONS)
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= before


HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)> \'&amp; \u202egnp.exe'


def test_a_page_escapes_what_anybody_has_written(rt, tmp_path):
    members = [
        Member(HOSTILE, model=ScriptedModel(lambda r: said(r, ballot("yes", 0.9, HOSTILE)), id=HOSTILE)),
        member("b", ballot("no", 0.9, HOSTILE)),
        member("c", ballot("yes")),
    ]
    for kind in ("parallel", "consensus", "debate", "socratic"):
        panel = rt.panel(HOSTILE, type=kind, members=members, options=OPTIONS, title=HOSTILE)
        page = panel.html()
        assert "<script" not in page and "<img" not in page and "\u202e" not in page, kind
        assert not re.search(r"<[^>]*(?:src|href)\s*=|url\(|@import|https?://", page), kind
        assert page.count("&lt;script&gt;") > 3
    far = [member(HOSTILE[:40], rating(8e307)), member("b", rating(-8e307))]
    numbers = rt.panel(HOSTILE, type="delphi", members=far, scale=(-8e307, 8e307))
    assert "<svg" in numbers.html() and "NaN" not in numbers.html() and "inf" not in numbers.html()
    folder = Path(tmp_path, "no such folder", "x.html")
    with pytest.raises(OSError):
        numbers.report(folder)
