"""Do workflows start at set times from Python, move to other versions, and run as a graph?"""

from __future__ import annotations

import asyncio
import time

import pytest

import quorate
from quorate import workflows as wf

FLOW = "apiVersion: quorate/v1\nkind: Workflow\nid: t\nversion: {version}\ninput: {{type: object, required: [n]}}\nsteps:\n  a: {{wait: {{signal: go}}}}\n{more}"
FRIDAY = 1_772_755_200.0  # 2026-03-06 00:00 UTC


def engine(clock, store=None, **given):
    eng = wf.Engine(store or quorate.StateStore(), clock=clock, **given)
    eng.add(FLOW.format(version="1.0.0", more=""))
    return eng


def code_of(call, *args, **kwargs):
    with pytest.raises(quorate.QuorateError) as raised:
        call(*args, **kwargs)
    return raised.value.code, str(raised.value)


def until(look, seconds=30):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_a_schedule_starts_a_run_for_each_due_time():
    clock = wf.ManualClock(FRIDAY)
    with engine(clock) as eng:
        made = eng.schedule("six", "0 6 * * *", "t", {"n": 1}, timezone="America/New_York", missed="all")
        assert (made.name, made.cron, made.workflow, made.input, made.missed) == ("six", "0 6 * * *", "t", {"n": 1}, "all")
        assert (made.timezone, made.next, made.last, made.started, made.paused) == ("America/New_York", FRIDAY + 11 * 3600, None, 0, False)
        assert made.left_out is None and made.error is None and made.version is None
        # To summer time on Sunday: an hour earlier by UTC.
        assert made.next_times(3) == [FRIDAY + 11 * 3600, FRIDAY + 35 * 3600, FRIDAY + 58 * 3600]
        clock.advance(59 * 3600)
        seen = until(lambda: (one := made.look()).started == 3 and one)
        assert seen.last == FRIDAY + 58 * 3600
        run = seen.run(seen.last)
        assert run.journal()[0].data["input"] == {"n": 1} and seen.run(1.0) is None
        assert [one.name for one in eng.schedules()] == ["six"]
        paused = seen.pause()
        assert paused.paused and paused.next is None
        assert paused.resume().next == FRIDAY + 82 * 3600
        paused.remove()
        assert list(eng.schedules()) == []
        assert code_of(paused.look)[0] == "unknown_id" and code_of(eng.scheduled, "six")[0] == "unknown_id"


def test_what_is_wrong_with_a_schedule_is_refused_by_code():
    with engine(wf.ManualClock(FRIDAY)) as eng:
        good = {"name": "x", "cron": "0 6 * * 1", "workflow": "t", "input": {"n": 1}}
        for change, code, begins in [
            ({"cron": "61 * * * *"}, "invalid_argument", "cron: "),
            ({"timezone": "Mars/Base"}, "invalid_argument", "timezone: "),
            ({"missed": "never"}, "invalid_argument", "missed: "),
            ({"name": "a b"}, "invalid_argument", "name: "),
            ({"workflow": "none"}, "unknown_id", ""),
            ({"input": {}}, "invalid_document", "the input of 't'"),
            ({"cron": 3}, "invalid_argument", ""),
            ({"priority": "high"}, "invalid_argument", ""),
        ]:
            found, message = code_of(eng.schedule, **{**good, **change})
            assert found == code and begins in message, (change, found, message)
        assert list(eng.schedules()) == []


def test_schedules_outlive_the_engine_and_have_twins_for_asyncio(tmp_path):
    clock = wf.ManualClock(FRIDAY)
    with engine(clock, quorate.StateStore(tmp_path)) as eng:
        made = asyncio.run(eng.aio.schedule("hourly", "0 * * * *", "t", {"n": 2}))
        assert made.started == 0 and [one.name for one in asyncio.run(eng.aio.schedules())] == ["hourly"]
    clock.advance(7200)
    with engine(clock, quorate.StateStore(tmp_path)) as eng:
        seen = until(lambda: (one := eng.scheduled("hourly")).started and one)
        assert (seen.started, seen.last) == (1, FRIDAY + 7200)
        assert seen.left_out[0] == FRIDAY + 3600


def test_a_run_goes_on_by_another_version():
    with engine(wf.ManualClock(FRIDAY)) as eng:
        run = eng.start("t", {"n": 1})
        assert run.wait(30, until="waiting") == "waiting"
        eng.add(FLOW.format(version="2.0.0", more="  b: {needs: [a], wait: {signal: b}}\n"))
        eng.add(FLOW.format(version="3.0.0", more="").replace("signal: go", "signal: other"))
        code, message = code_of(run.migrate, "3.0.0")
        assert code == "run_conflict" and "steps.a: it is waiting" in message
        assert code_of(run.migrate, "9.0.0")[0] == "unknown_id"
        run.migrate("2.0.0")
        assert run.definition().version == "2.0.0"
        asyncio.run(run.aio.migrate("2.0.0"))
        run.signal("go")
        run.signal("b")
        assert run.wait(30) == "completed"
        assert "migrated" in [entry.type for entry in run.journal()]


def test_a_workflow_is_carried_out_by_a_graph():
    review = "apiVersion: quorate/v1\nkind: Workflow\nid: r\nversion: 1.0.0\nsteps: {sign: {human_review: {role: lead, title: Sign, options: [yes_, no_], forbid: [starter]}}}\noutput: '${steps.sign.output.by}'\n"
    with wf.Engine(quorate.StateStore()) as eng:
        eng.add(review)
        app = wf.graphs.workflow_execution(eng).compile()
        out = app.run({"workflow": "r", "starter": "sam"}, thread="t")
        assert out.status == "waiting" and out.reviews[0].question.title == "Sign", out
        out = app.resume("t", answers={out.reviews[0].id: {"decision": "yes_", "by": "sam"}})
        assert out.status == "waiting" and "sam" in out.reviews[0].question.refused, out
        out = app.resume("t", answers={out.reviews[0].id: {"decision": "yes_", "by": "ann"}})
        assert (out.status, out.state.status, out.state.result) == ("done", "completed", "ann"), out
        assert [run.id for run in eng.runs()] == [out.state.run]
        assert code_of(wf.graphs.workflow_execution, quorate.StateStore())[0] == "invalid_argument"
        with pytest.raises(quorate.QuorateError):
            wf.graphs.workflow_execution(eng).edge("a", "b")


def test_an_answer_is_passed_on_while_another_review_is_open():
    two = (
        "apiVersion: quorate/v1\nkind: Workflow\nid: two\nversion: 1.0.0\nsteps:\n"
        "  a: {human_review: {role: lead, title: A, options: [yes_, no_]}}\n  b: {human_review: {role: lead, title: B, options: [yes_, no_]}}\n"
    )
    with wf.Engine(quorate.StateStore()) as eng:
        eng.add(two)
        app = wf.graphs.workflow_execution(eng).compile()
        out = app.run({"workflow": "two"}, thread="t")
        first = next(review for review in out.reviews if review.question.title == "A")
        out = app.resume("t", answers={first.id: {"decision": "yes_", "by": "ann"}})
        assert out.status == "waiting" and [review.title for review in eng.reviews()] == ["B"], out
        out = app.resume("t", answers={review.id: {"decision": "no_", "by": "ann"} for review in out.reviews})
        assert out.status == "done" and out.state.status == "completed", out
