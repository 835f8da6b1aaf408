"""Do workflows run from Python: tools, reviews, signals, timers, and everything that can be said to a run?"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import gc
import threading
import time
import weakref

import pytest

import quorate
from quorate import workflows as wf

HEAD = "apiVersion: quorate/v1\nkind: Workflow\nid: {id}\nversion: {version}\n"


def flow(body, id="t", version="1.0.0"):
    return HEAD.format(id=id, version=version) + body


def engine(*tools, **given):
    return wf.Engine(quorate.StateStore(), tools=tools, **given)


def ends(run, status="completed", seconds=60):
    assert run.wait(seconds) == status, (run.ending(), [step.to_dict() for step in run.steps()])
    return run


def reaches(run, status, seconds=60):
    assert run.wait(seconds, until=status) == status, (run.ending(), [step.to_dict() for step in run.steps()])


def by_id(run):
    return {step.id: step for step in run.steps()}


def code_of(call, *args, **kwargs):
    with pytest.raises(quorate.QuorateError) as raised:
        call(*args, **kwargs)
    return raised.value.code


# What ships


@pytest.mark.parametrize("id", [template.id for template in wf.templates()])
def test_every_template_runs_offline_from_end_to_end(id):
    with engine() as eng:
        run = eng.start(id, offline=True)
        decided = 0
        deadline = time.monotonic() + 120
        while run.wait(2, until="waiting") not in ("completed", "failed", "cancelled") and time.monotonic() < deadline:
            for review in eng.reviews(run=run):
                review.claim("reviewer").decide(review.options[0], by="reviewer")
                decided += 1
        ends(run)
        assert run.result() is not None
        assert run.definition().id == id
        # A branch may have ended the run before the last step.
        assert all(step.status in ("completed", "skipped", "cancelled", "pending") for step in run.steps())


def test_templates_say_what_they_are():
    found = wf.templates()
    assert len(found) == 16
    assert [sum(one.domain == domain for one in found) for domain in ("healthcare", "customer_service")] == [7, 9]
    assert all(f"id: {one.id}" in one.yaml and one.title and one.description and "flowchart" in one.mermaid for one in found)
    with engine() as eng:
        assert {one.id for one in found} <= {one.id for one in eng.list()}
        assert eng.versions("regulatory.fda_510k_submission")
        assert "submit" in eng.rendered("regulatory.fda_510k_submission")["steps"]
    assert wf.workflow_schema()["$schema"].endswith("2020-12/schema")


def test_what_stands_in_can_be_given():
    with engine() as eng:
        answer = {"signal": "fda.ai_request", "data": {"deficiencies": ["threat model"]}}
        run = eng.start("regulatory.fda_510k_submission", offline=True, stand_ins={"decision": answer})
        ends(run)
        assert by_id(run)["ai_response"].status == "completed"
        assert code_of(eng.start, "example", offline=True, stand_ins={"nobody": 1}) == "unknown_id"
        assert code_of(eng.start, "example", {"name": "Ada", "formal": False}, stand_ins={"check": 1}) == "invalid_argument"


# Files


def test_problems_are_objects_with_their_places(tmp_path):
    (tmp_path / "broken.yaml").write_text(
        flow("steps:\n  a: {needs: [b], wait: {for: 10 minutes}}\n  b: {needs: [a], integration: {tool: nobody.knows}}\n", "broken")
    )
    (tmp_path / "fine.yaml").write_text(flow("steps:\n  a: {integration: {tool: nobody.knows}}\n", "fine"))
    with engine() as eng:
        problems = eng.load(tmp_path).validate()
        told = sorted((problem.path.rsplit("/", 1)[-1], problem.line, problem.code) for problem in problems)
        assert told == [("broken.yaml", 6, "bad_duration"), ("broken.yaml", 6, "cycle"), ("fine.yaml", 6, "unknown_tool")]
        one = next(problem for problem in problems if problem.code == "bad_duration")
        assert one.at == "steps.a.wait.for" and "10 minutes" in one.message
        assert str(one).endswith("[bad_duration]") and ":6:" in str(one)
        assert [one.id for one in eng.list() if one.id in ("fine", "broken")] == ["fine"]


def test_files_in_both_forms_with_overlays_and_versions(tmp_path):
    (tmp_path / "a.yaml").write_text(flow("steps:\n  a: {integration: {tool: echo, args: {n: 1}}}\noutput: {n: '${steps.a.output.n}'}\n", "a"))
    (tmp_path / "b.json").write_text('{"apiVersion": "quorate/v1", "kind": "Workflow", "id": "b", "version": "2.0.0", "steps": {"a": {"integration": {"tool": "echo"}}}}')
    (tmp_path / "env").mkdir()
    (tmp_path / "env/prod.yaml").write_text("apiVersion: quorate/v1\nkind: Overlay\ntarget: [a]\npatch: {steps: {a: {integration: {args: {n: 7}}}}}\n")
    with engine(wf.Tool("echo", lambda args: args)) as eng:
        assert eng.load(tmp_path, ["env/prod"]) is eng
        assert eng.validate() == []
        assert eng.rendered("a")["steps"]["a"]["integration"]["args"] == {"n": 7}
        assert set(eng.rendered()) >= {"a", "b", "example"}
        assert ends(eng.start("a")).result() == {"n": 7}
        eng.add(flow("steps:\n  a: {integration: {tool: echo, args: {n: 3}}}\noutput: {n: '${steps.a.output.n}'}\n", "a", "1.1.0"))
        assert eng.versions("a") == ["1.0.0", "1.1.0"]
        assert ends(eng.start("a")).result() == {"n": 3}
        assert ends(eng.start("a", version="1.0.0")).result() == {"n": 7}
        made = eng.add({"apiVersion": "quorate/v1", "kind": "Workflow", "id": "c", "version": "1.0.0", "steps": {"a": {"integration": {"tool": "echo"}}}})
        assert (made.id, made.version) == ("c", "1.0.0") and len(made.hash) >= 32
        assert "flowchart" in eng.mermaid("c")


def test_bad_input_is_refused_by_code(tmp_path):
    with engine(wf.Tool("echo", lambda args: args)) as eng:
        assert code_of(eng.load, tmp_path / "nothing") == "not_found"
        assert code_of(eng.load, 3) == "invalid_argument"
        assert code_of(eng.load, tmp_path, "env/prod") == "invalid_argument"
        for text in ("steps: [", "kind: Workflow", flow("steps: {a: {integration: {tool: echo}, when: '1 +'}}\n"), flow("steps: {a: {b: {}}}\nfoo: 1\n")):
            assert code_of(eng.add, text) == "invalid_document", text
        assert code_of(eng.add, 3) == "invalid_argument"
        eng.add(flow("input: {type: object, properties: {n: {type: integer}}, required: [n]}\nsteps: {a: {integration: {tool: echo, args: {n: '${input.n}'}}}}\n"))
        assert code_of(eng.start, "nobody") == "unknown_id"
        assert code_of(eng.start, "t", version="9.9.9") == "unknown_id"
        assert code_of(eng.start, "t", {"n": "three"}) == "invalid_document"
        assert code_of(eng.start, "t") == "invalid_document"
        assert code_of(eng.start, 3) == "invalid_argument"
        assert code_of(eng.start, "t", {"n": object()}) == "invalid_argument"
        assert code_of(eng.start, "t", {"n": 1}, priority="high") == "invalid_argument"
        assert code_of(eng.start, "t", {"n": 1}, deadline="soon") == "invalid_argument"
        assert code_of(eng.start, "t", {"n": 1}, id=3) == "invalid_argument"
        run = ends(eng.start("t", {"n": 1}, id="mine"))
        assert run.id == "mine" and eng.run("mine") == run
        assert code_of(eng.start, "t", {"n": 1}, id="mine") == "duplicate_id"
        assert code_of(eng.run, "nobody") == "unknown_id"
        assert code_of(eng.runs, "done") == "invalid_argument"
        assert code_of(eng.review, "nobody") == "unknown_id"
        assert code_of(eng.reviews, None, "nobody") == "unknown_id"
        assert code_of(eng.reviews, 3) == "invalid_argument"
        assert code_of(run.wait, -1) == "invalid_argument"
        assert code_of(run.wait, until="done") == "invalid_argument"
        assert code_of(run.signal, "x") == "run_conflict"
        assert code_of(run.cancel, "late") == "run_conflict"
        assert code_of(run.retry) == "run_conflict"
        assert code_of(run.fork, "nobody") == "unknown_id"
        assert code_of(run.stream, start=0) == "invalid_argument"
        assert code_of(eng.work, concurrency=0) == "invalid_argument"
        assert code_of(eng.work, queues="regulatory") == "invalid_argument"
        assert code_of(eng.step_type, "wait", print) == "invalid_argument"
        assert code_of(eng.step_type, "my kind", print) == "invalid_argument"
        assert code_of(eng.step_type, "mine", 3) == "invalid_argument"
        assert code_of(eng.step_type, "mine", print, schema={"type": "nonsense"}) == "invalid_argument"
    assert code_of(eng.work) == "closed"
    for given in ({"tools": [3]}, {"tools": "echo"}, {"tools": [lambda: 1]}, {"clock": 3}, {"clock": lambda: "now"}, {"runtime": 3}, {"registry": 3},
                  {"concurrency": -1}, {"queues": "q"}, {"tenant": 3}, {"clock": lambda: float("nan")}):
        with pytest.raises(quorate.QuorateError):
            wf.Engine(**given)
    assert code_of(wf.Engine, tools=[wf.Tool("a", print), wf.Tool("a", print)]) == "invalid_argument"
    assert code_of(wf.Engine, quorate.StateStore(tenant="a"), tenant="b") == "tenant_violation"
    for given in ((3, print), ("a", 3)):
        assert code_of(wf.Tool, *given) == "invalid_argument"
    assert code_of(wf.Tool, "a", print, timeout=0) == "invalid_argument"
    assert code_of(wf.Tool, "a", print, idempotent=1) == "invalid_argument"
    assert code_of(wf.Tool("a", print).__class__, "a", quorate.kb_tool(quorate.open(None))) == "invalid_argument"


# Tools


def found(name, args="{}", **rest):
    return flow(f"steps: {{a: {{integration: {{tool: {name}, args: {args}}}}}}}\noutput: '${{steps.a.output}}'\n", **rest)


def test_tools_of_every_kind():
    seen = []

    def lookup(code: str, year: int = 2025) -> dict:
        """By its hints."""
        return {"code": code, "year": year}

    def dates(day: datetime.date):
        return {"weekday": day.isoweekday()}

    @quorate.tool
    def kept(code: str):
        return [code]

    async def later(code, ctx):
        await asyncio.sleep(0.01)
        return {"code": code, "step": ctx.step}

    def whole(args, ctx: wf.StepContext):
        seen.append(ctx)
        return args

    def gathers(**given):
        return given

    class Callable_:
        def __call__(self, code):
            return code

    tools = [lookup, dates, kept, later, wf.Tool("whole", whole), wf.Tool("gathers", gathers), wf.Tool("called", Callable_()), wf.Tool("vague", lambda a: a)]
    with engine(*tools) as eng:
        def gives(name, args):
            eng.add(found(name, args, id=f"x{len(eng.list())}"))
            run = eng.start(f"x{len(eng.list()) - 1}")
            return ends(run).result()

        assert gives("lookup", "{code: DPS}") == {"code": "DPS", "year": 2025}
        assert gives("lookup", "{code: DPS, year: 1999}") == {"code": "DPS", "year": 1999}
        assert gives("dates", "{day: '2026-03-02'}") == {"weekday": 1}
        assert gives("kept", "{code: x}") == ["x"]
        assert gives("later", "{code: x}") == {"code": "x", "step": "a"}
        assert gives("whole.of.it", "{a: [1, 2.5, null, true, 'ü']}") == {"a": [1, 2.5, None, True, "ü"]}
        assert gives("gathers", "{x: 1}") == {"x": 1}
        assert gives("called", "{code: x}") == "x"
        assert gives("vague", "{code: x}") == {"code": "x"}
        context = seen[0]
        assert (context.step, context.visit, context.attempt, context.name) == ("a", 1, 1, "whole.of.it")
        assert context.run_id and context.idempotency_key and context.tenant is None and context.cancelled is False


@pytest.mark.parametrize(
    ("raises", "code", "said"),
    [
        (lambda: quorate.Unavailable("rate_limited", "slow down"), "rate_limited", "slow down"),
        (lambda: ValueError("no such code"), "tool_failed", "'fails' raised ValueError: no such code"),
        (lambda: TimeoutError("too slow"), "tool_timeout", "'fails' raised TimeoutError: too slow"),
        (lambda: quorate.Conflict("stale_write", "of another run"), "tool_failed", "of another run"),
        (lambda: SystemExit(3), "tool_failed", "SystemExit: 3"),
    ],
)
def test_what_a_tool_raises_keeps_its_kind_and_message(raises, code, said):
    def fails(args):
        raise raises()

    with engine(wf.Tool("fails", fails)) as eng:
        eng.add(found("fails"))
        run = ends(eng.start("t"), "failed")
        step = by_id(run)["a"]
        assert step.code == code and said in step.message
        assert run.ending().code == code
        assert code_of(run.result) == code


def test_arguments_that_do_not_fit_are_not_tried_again():
    def lookup(code: str, year: int):
        return 1

    for args in ("{}", "{code: x}", "{code: x, year: 1, more: 2}", "{code: x, year: soon}"):
        with engine(lookup) as eng:
            eng.add(flow(f"steps: {{a: {{integration: {{tool: lookup, args: {args}}}, retry: {{max_attempts: 3, backoff: 0}}}}}}\n"))
            step = by_id(ends(eng.start("t"), "failed"))["a"]
            assert (step.code, step.attempts) == ("tool_arguments", 1), (args, step)


def test_failures_are_tried_again_with_one_key():
    keys, attempts = set(), []

    def flaky(args, ctx):
        keys.add(ctx.idempotency_key)
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError("down")
        return ctx.attempt

    with engine(wf.Tool("flaky", flaky)) as eng:
        eng.add(flow("steps: {a: {integration: {tool: flaky}, retry: {max_attempts: 5, backoff: 1ms, jitter: none}}}\noutput: '${steps.a.output}'\n"))
        assert ends(eng.start("t")).result() == 3
    assert len(keys) == 1 and attempts == [1, 2, 3]


def test_what_a_tool_gives_is_never_lost_for_its_type():
    class Odd:
        def __str__(self):
            return "odd"

    given = {"a": {1, 1}, "b": datetime.date(2026, 1, 2), "c": Odd(), "d": b"x", "e": float("nan"), "f": 2**80, 3: None}
    with engine(wf.Tool("odd", lambda args: given)) as eng:
        eng.add(found("odd"))
        assert ends(eng.start("t")).result() == {"a": [1], "b": "2026-01-02", "c": "odd", "d": "x", "e": None, "f": str(2**80), "3": None}


def test_a_hung_tool_holds_nothing():
    never, told = threading.Event(), []

    def hangs(args, ctx):
        while not ctx.cancelled and not never.wait(0.01):
            pass
        told.append(ctx.cancelled)

    with engine(wf.Tool("hangs", hangs), wf.Tool("echo", lambda args: args), concurrency=2) as eng:
        eng.add(flow("steps: {a: {integration: {tool: hangs}, timeout: 300ms, retry: {max_attempts: 1}}}\n"))
        eng.add(found("echo", id="quick"))
        slow = eng.start("t")
        begun = time.monotonic()
        assert ends(eng.start("quick")).result() == {}
        assert time.monotonic() - begun < 5
        step = by_id(ends(slow, "failed"))["a"]
        assert step.code in ("timeout", "tool_timeout")
        # Nobody waits for the call itself, which is told soon after.
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
    assert told == [True]


def test_a_hung_coroutine_is_cancelled_and_one_that_blocks_is_left():
    ended = threading.Event()

    async def hangs(args):
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    with engine(wf.Tool("hangs", hangs)) as eng:
        eng.add(flow("steps: {a: {integration: {tool: hangs}, timeout: 200ms, retry: {max_attempts: 1}}}\n"))
        ends(eng.start("t"), "failed")
        assert ended.wait(10)


def test_what_a_coroutine_has_done_after_its_run_was_cancelled_is_undone():
    said = []

    async def charge(args):
        said.append("begun")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            # It cannot be broken off any more.
            await asyncio.sleep(1.5)
        said.append("charged")

    with engine(wf.Tool("charge", charge), wf.Tool("refund", lambda args: said.append("refunded"))) as eng:
        eng.add(flow("steps: {a: {integration: {tool: charge}, compensate: {tool: refund}}}\n"))
        run = eng.start("t")
        while not said:
            time.sleep(0.01)
        run.cancel("enough")
        ends(run, "cancelled")
    assert said == ["begun", "charged", "refunded"]


def test_closing_does_not_wait_for_ever():
    never = threading.Event()
    eng = engine(wf.Tool("hangs", lambda args: never.wait(30)))
    eng.add(found("hangs"))
    run = eng.start("t")
    reaches(run, "running")
    begun = time.monotonic()
    assert eng.drain(0.1) is False
    assert eng.close(0.2) is False
    assert time.monotonic() - begun < 10
    never.set()
    assert eng.close() is True
    eng.close()


def test_context_variables_are_those_of_who_made_the_engine():
    who = contextvars.ContextVar("who", default="nobody")
    who.set("maker")
    with engine(wf.Tool("asks", lambda args: who.get())) as eng:
        who.set("somebody else")
        eng.add(found("asks"))
        assert ends(eng.start("t")).result() == "maker"


def test_an_engine_that_is_forgotten_is_let_go():
    def make():
        eng = engine(wf.Tool("echo", lambda args: args))
        eng.add(found("echo"))
        ends(eng.start("t"))
        return weakref.ref(eng)

    there = make()
    gc.collect()
    assert there() is None

    class Holds:
        pass

    def cyclic():
        holds = Holds()
        holds.engine = engine(wf.Tool("echo", lambda args: (args, holds)[0]))
        holds.engine.close()
        return weakref.ref(holds.engine)

    there = cyclic()
    gc.collect()
    assert there() is None, "a closed engine lets go of its functions"


# Kinds of steps


def test_a_kind_of_step_of_the_host():
    seen = []

    def sync(args, ctx):
        seen.append((args, ctx.name, ctx.step))
        return {"sum": sum(args["of"])}

    async def slow(args):
        await asyncio.sleep(0.01)
        return args

    with engine() as eng:
        eng.step_type("add_up", sync, schema={"type": "object", "properties": {"of": {"type": "array"}}, "required": ["of"]})
        eng.step_type("repeat", slow)
        eng.add(flow("steps:\n  a: {add_up: {of: [1, '${input.n}']}}\n  b: {needs: [a], repeat: '${steps.a.output.sum}'}\noutput: '${steps.b.output}'\n"))
        assert eng.validate() == []
        assert ends(eng.start("t", {"n": 4})).result() == 5
        eng.add(flow("steps: {a: {add_up: {off: [1]}}}\n", "wrong"))
        assert [problem.code for problem in eng.validate()] != []
    assert seen == [({"of": [1, 4]}, "add_up", "a")]


# People


REVIEW = "steps:\n  check: {human_review: {role: lead, title: 'Is ${input.code} right?', options: [approve, again], forbid: [starter]%s}}\noutput: {by: '${steps.check.output.by}', data: '${steps.check.output.data}'}\n"


def test_reviews_have_roles_claims_and_those_who_may_not():
    with engine() as eng:
        eng.add(flow(REVIEW % ""))
        run = eng.start("t", {"code": "DPS"}, starter="sam")
        reaches(run, "waiting")
        assert eng.reviews(role="nobody") == []
        (review,) = eng.reviews(role="lead", run=run)
        assert (review.title, review.options, review.role, review.step, review.run_id) == ("Is DPS right?", ["approve", "again"], "lead", "check", run.id)
        assert review.forbid == ["sam"] and review.claimed_by is None and review.votes == [] and review.people == 1
        assert eng.review(review.id).id == review.id
        assert code_of(review.claim, "sam") == "invalid_argument"
        assert code_of(review.decide, "approve", by="sam") == "invalid_argument"
        assert code_of(review.decide, "maybe", by="ann") == "invalid_argument"
        with pytest.raises(quorate.InvalidInput):
            review.decide("approve", by=None)
        assert review.claim("ann") is review
        assert eng.review(review.id).claimed_by == "ann"
        assert code_of(review.claim, "bob") == "run_conflict"
        assert code_of(review.decide, "approve", by="bob") == "run_conflict"
        review.delegate("bob")
        assert eng.review(review.id).claimed_by == "bob"
        review.decide("approve", by="bob", comment="fine", data={"page": 3})
        assert ends(run).result() == {"by": "bob", "data": {"page": 3}}
        assert code_of(review.decide, "approve", by="bob") == "run_conflict"
        assert code_of(eng.review, review.id) == "unknown_id"
        assert eng.reviews() == []


def test_two_people_must_choose_the_same():
    with engine() as eng:
        eng.add(flow(REVIEW % ", people: 2"))
        run = eng.start("t", {"code": "x"})
        reaches(run, "waiting")
        (review,) = eng.reviews()
        review.decide("approve", by="ann")
        (again,) = eng.reviews()
        assert again.votes == [{"by": "ann", "option": "approve"}] and again.people == 2
        assert run.status == "waiting"
        again.decide("approve", by="bob")
        ends(run)


def test_two_who_decide_at_once_decide_once():
    with engine() as eng:
        eng.add(flow(REVIEW % ""))
        for _ in range(5):
            run = eng.start("t", {"code": "x"})
            reaches(run, "waiting")
            (review,) = eng.reviews(run=run)
            codes, gate = [], threading.Barrier(8)

            def decide(name, review=review, codes=codes, gate=gate):
                gate.wait()
                try:
                    review.decide("approve", by=name)
                    codes.append(None)
                except quorate.QuorateError as error:
                    codes.append(error.code)

            threads = [threading.Thread(target=decide, args=(f"p{n}",)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(map(str, codes)) == sorted(["None"] + ["run_conflict"] * 7), codes
            ends(run)


# Signals and timers


def test_signals_that_come_early_are_kept_and_count_once():
    body = "steps:\n  gate: {wait: {signal: open}}\n  a: {needs: [gate], wait: {signal: [go, stop], timeout: 1h}}\noutput: {signal: '${steps.a.signal}', data: '${steps.a.output}'}\n"
    with engine() as eng:
        eng.add(flow(body))
        run = eng.start("t")
        run.signal("go", {"n": 1}, id="once")
        run.signal("go", {"n": 2}, id="once")
        run.signal("open")
        assert ends(run).result() == {"signal": "go", "data": {"n": 1}}
        assert code_of(run.signal, "go") == "run_conflict"


@pytest.mark.parametrize("how", ["manual", "callable", "object", "datetime"])
def test_timers_go_by_the_clock_that_is_given(how):
    manual, at = wf.ManualClock(1_000.0), [1_000.0]

    class Object:
        def now(self):
            return at[0]

    clock = {"manual": manual, "callable": lambda: at[0], "object": Object(), "datetime": lambda: datetime.datetime.fromtimestamp(at[0], datetime.timezone.utc)}[how]
    with engine(clock=clock) as eng:
        eng.add(flow("steps: {a: {wait: {for: P100D}}}\noutput: done\n"))
        run = eng.start("t")
        reaches(run, "waiting")
        assert run.wait(0.3) == "waiting"
        manual.advance(99 * 86_400.0)
        at[0] += 99 * 86_400.0
        assert run.wait(0.3) == "waiting"
        manual.advance(86_401.0)
        at[0] += 86_401.0
        assert ends(run).result() == "done"
        assert run.journal()[0].time == 1_000.0


def test_a_clock_that_fails_stands_still_and_the_runs_go_on():
    broken = threading.Event()

    def clock():
        if broken.is_set():
            raise OSError("no time")
        return 5.0

    with engine(wf.Tool("echo", lambda args: args), clock=clock) as eng:
        eng.add(found("echo"))
        broken.set()
        run = ends(eng.start("t"))
        assert {entry.time for entry in run.journal()} == {5.0}


def test_an_overdue_review_escalates():
    clock = wf.ManualClock(0.0)
    with engine(clock=clock) as eng:
        eng.add(flow("steps: {a: {human_review: {role: lead, title: x, options: [ok], due: P1D, on_timeout: escalate, escalate_to: boss}}}\n"))
        run = eng.start("t")
        reaches(run, "waiting")
        assert eng.reviews()[0].due == 86_400.0
        clock.advance(86_401)
        deadline = time.monotonic() + 30
        while eng.reviews(run=run)[0].escalated == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (eng.reviews(role="lead"), eng.reviews(role="boss")[0].escalated) == ([], 1)
        eng.reviews()[0].decide("ok", by="b")
        ends(run)


# What is said to a run


def test_pause_and_resume():
    begun = []
    with engine(wf.Tool("note", lambda args: begun.append(args["n"]))) as eng:
        eng.add(flow("steps:\n  g: {wait: {signal: go}}\n  a: {needs: [g], integration: {tool: note, args: {n: 1}}}\n"))
        run = eng.start("t")
        reaches(run, "waiting")
        run.pause()
        assert run.status == "paused"
        run.signal("go")
        assert run.wait(0.3) == "paused" and begun == []
        run.resume()
        ends(run)
        assert begun == [1]


def test_cancel_undoes_what_was_done_in_reverse():
    undone = []
    tools = [wf.Tool("do", lambda args: args), wf.Tool("undo", lambda args: undone.append(args["n"]))]
    step = "{%sintegration: {tool: do, args: {n: %d}}, compensate: {tool: undo, args: {n: %d}}}"
    body = f"steps:\n  a: {step % ('', 1, 1)}\n  b: {step % ('needs: [a], ', 2, 2)}\n  c: {{needs: [b], wait: {{signal: never}}}}\n"
    with engine(*tools) as eng:
        eng.add(flow(body))
        run = eng.start("t")
        reaches(run, "waiting")
        run.cancel("no longer wanted")
        ends(run, "cancelled")
        assert undone == [2, 1] and run.ending() == {"status": "cancelled", "reason": "no longer wanted"}
        assert code_of(run.result) == "cancelled"
        run = eng.start("t")
        reaches(run, "waiting")
        run.cancel("so", compensate=False)
        ends(run, "cancelled")
        assert undone == [2, 1]


def test_retry_and_skip_of_what_is_blocked():
    well = threading.Event()

    def fragile(args):
        if not well.is_set():
            raise ConnectionError("down")
        return "well"

    body = "steps:\n  a: {integration: {tool: fragile}, on_error: block, retry: {max_attempts: 1}}\n  b: {needs: [a], integration: {tool: echo, args: {a: '${steps.a.output}'}}}\noutput: '${steps.b.output}'\n"
    with engine(wf.Tool("fragile", fragile), wf.Tool("echo", lambda args: args)) as eng:
        eng.add(flow(body))
        run, other = eng.start("t"), eng.start("t")
        reaches(run, "blocked")
        reaches(other, "blocked")
        step = by_id(run)["a"]
        assert step.status == "blocked" and step.code == "tool_failed" and "down" in step.message
        assert code_of(run.retry, "nobody") == "unknown_id"
        other.skip("a")
        assert ends(other).result() == {"a": None}
        well.set()
        run.retry("a")
        assert ends(run).result() == {"a": "well"}


def test_fork_takes_over_what_was_done():
    calls = []
    with engine(wf.Tool("count", lambda args: calls.append(args["n"]) or len(calls))) as eng:
        eng.add(flow("steps:\n  a: {integration: {tool: count, args: {n: 1}}}\n  b: {needs: [a], integration: {tool: count, args: {n: 2}}}\noutput: ['${steps.a.output}', '${steps.b.output}']\n"))
        run = ends(eng.start("t"))
        other = ends(run.fork("b"))
        assert (run.result(), other.result(), calls) == ([1, 2], [1, 3], [1, 2, 2])
        assert other.id != run.id


def test_dedup_priorities_and_lists():
    with engine(wf.Tool("echo", lambda args: args)) as eng:
        eng.add(found("echo"))
        first, second = eng.start("t", {"n": 1}, dedup="word"), eng.start("t", {"n": 1}, dedup="word")
        assert first.id == second.id and first == second and len({first, second}) == 1
        assert code_of(eng.start, "t", {"n": 2}, dedup="word") == "run_conflict"
        ends(first)
        assert [run.id for run in eng.runs()] == [first.id] == [run.id for run in eng.runs("completed")]
        assert eng.runs("failed") == []
    order, gate = [], threading.Event()
    with engine(wf.Tool("note", lambda args: order.append(args["n"])), concurrency=0) as eng:
        eng.add(flow("input: {type: object, properties: {n: {type: integer}}}\nqueue: {name: q}\nsteps: {a: {integration: {tool: note, args: {n: '${input.n}'}}}}\n"))
        runs = [eng.start("t", {"n": n}, priority=n) for n in (1, 3, 2)]
        assert [run.status for run in runs] == ["queued"] * 3
        eng.work(queues=["other"], concurrency=1)
        assert runs[0].wait(0.3) == "queued"
        eng.work(queues=["q"], concurrency=1)
        for run in runs:
            ends(run)
    assert order == [3, 2, 1] and not gate.is_set()


def test_a_deadline_ends_a_run():
    clock = wf.ManualClock(100.0)
    with engine(clock=clock) as eng:
        eng.add(flow("steps: {a: {wait: {signal: never}}}\n"))
        run = eng.start("t", deadline=datetime.datetime.fromtimestamp(200.0, datetime.timezone.utc))
        reaches(run, "waiting")
        clock.advance(101)
        ends(run, "failed")


def test_what_is_known_of_a_run():
    with engine(wf.Tool("echo", lambda args: args)) as eng:
        eng.add(found("echo", "{n: 1}"))
        run = ends(eng.start("t"))
        journal = run.journal()
        assert [entry.seq for entry in journal] == list(range(1, len(journal) + 1))
        assert journal[0].type == "started" and journal[-1].type == "ended" and journal[-1].data.status == "completed"
        exported = run.export()
        assert exported["workflow"] == "t" and len(exported["journal"]) == len(journal) and exported["definition"]["id"] == "t"
        assert "flowchart" in run.mermaid()
        assert run.definition().version == "1.0.0"
        assert repr(run) == f"WorkflowRun('{run.id}')"
        assert by_id(run)["a"].output == {"n": 1}
        assert eng.faults() == []


def test_large_results_and_long_texts():
    text = "ä🙂" * 500_000
    with engine(wf.Tool("echo", lambda args: {"text": text})) as eng:
        eng.add(found("echo"))
        assert ends(eng.start("t")).result()["text"] == text


# Streams


def test_a_stream_gives_everything_once_and_ends():
    body = "steps:\n  a: {wait: {signal: go}}\n"
    with engine() as eng:
        eng.add(flow(body))
        run = eng.start("t")
        seen = []
        with run.stream() as stream:
            for entry in stream:
                seen.append(entry)
                if entry.type == "step_waits":
                    run.signal("go")
        assert [entry.seq for entry in seen] == [entry.seq for entry in run.journal()]
        assert seen[-1].type == "ended"
        assert [entry.seq for entry in run.stream(start=3)] == [entry.seq for entry in seen if entry.seq >= 3]


def test_leaving_a_stream_changes_nothing():
    with engine() as eng:
        eng.add(flow("steps:\n  a: {wait: {signal: go}}\n"))
        run = eng.start("t")
        for entry in run.stream():
            break
        assert entry.type == "started"
        stream = run.stream()
        waits = threading.Thread(target=lambda: list(stream))
        waits.start()
        time.sleep(0.2)
        stream.close()
        waits.join(10)
        assert not waits.is_alive()
        run.signal("go")
        ends(run)


# asyncio


def test_every_call_has_its_twin():
    for cls, face in ((wf.Engine, "AsyncEngine"), (wf.WorkflowRun, "AsyncWorkflowRun"), (wf.Review, "AsyncReview")):
        from quorate.workflows import _engine_aio

        there = {name for name in vars(getattr(_engine_aio, face)) if not name.startswith("_")}
        plain = {name for name, value in vars(cls).items() if not name.startswith("_") and callable(value)}
        assert plain - {"store", "id", "engine", "aio"} <= there, plain - there


def test_asyncio_is_never_held():
    async def main():
        ticks, over = [], asyncio.Event()

        async def tick():
            while not over.is_set():
                ticks.append(time.monotonic())
                await asyncio.sleep(0.005)

        async def slow(n: int):
            await asyncio.sleep(0.05)
            return n

        ticking = asyncio.ensure_future(tick())
        eng = await quorate.aio.run(wf.Engine, None, tools=[slow, wf.Tool("blocks", lambda args: time.sleep(0.2))])
        async with eng.aio as aio:
            await aio.add(flow("steps:\n  a: {integration: {tool: slow, args: {n: 3}}}\n  b: {needs: [a], integration: {tool: blocks}}\n  c: {needs: [b], human_review: {role: r, title: x, options: [ok]}}\noutput: '${steps.a.output}'\n"))
            runs = await asyncio.gather(*(aio.start("t") for _ in range(5)))
            types = [entry.type async for entry in _until(runs[0].aio.stream(), "step_waits")]
            assert types[-1] == "step_waits"
            for run in runs:
                assert await run.aio.wait(60, until="waiting") == "waiting"
            for review in await aio.reviews():
                await (await review.aio.claim("ann")).aio.decide("ok", by="ann")
            assert [await run.aio.wait(60) for run in runs] == ["completed"] * 5
            assert await asyncio.gather(*(run.aio.result() for run in runs)) == [3] * 5
            assert await runs[0].aio.status() == "completed"
            assert (await runs[0].aio.steps())[0].id == "a"
            assert [entry.type async for entry in runs[0].aio.stream()][-1] == "ended"
        over.set()
        await ticking
        gaps = [b - a for a, b in zip(ticks, ticks[1:], strict=False)]
        assert max(gaps) < 1.0, max(gaps)

    async def _until(stream, kind):
        async for entry in stream:
            yield entry
            if entry.type == kind:
                await stream.aclose()
                return

    asyncio.run(main())


def test_a_cancelled_task_waits_no_more_and_the_run_goes_on():
    async def main():
        with engine() as eng:
            eng.add(flow("steps:\n  a: {wait: {signal: go}}\n"))
            run = await eng.aio.start("t")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(run.aio.wait(), 0.2)
            stream = run.aio.stream()
            with pytest.raises(asyncio.TimeoutError):
                async with stream:
                    async def read():
                        async for _ in stream:
                            pass

                    await asyncio.wait_for(read(), 0.3)
            await run.aio.signal("go")
            assert await run.aio.wait(30) == "completed"

    asyncio.run(main())


# Experts


def test_experts_answer_steps():
    model = quorate.ScriptedModel(["Class II."], id="scripted:expert")
    runtime = quorate.Runtime(model=model)
    with wf.Engine(quorate.StateStore(), runtime=runtime) as eng:
        eng.add(flow("steps: {a: {agent_task: {prompt: 'Which class?'}}}\noutput: '${steps.a.output.text}'\n"))
        assert ends(eng.start("t")).result() == "Class II."
    with engine() as eng:
        eng.add(flow("steps: {a: {agent_task: {prompt: 'Which class?'}}}\n"))
        run = eng.start("t")
        reaches(run, "blocked")
        assert by_id(run)["a"].code == "runtime_missing"


def test_tenants_do_not_see_each_other(tmp_path):
    with wf.Engine(quorate.StateStore(tmp_path, tenant="a"), tools=[wf.Tool("who", lambda args, ctx: ctx.tenant)]) as one:
        with wf.Engine(quorate.StateStore(tmp_path), tenant="b") as two:
            one.add(found("who"))
            run = ends(one.start("t"))
            assert run.result() == "a"
            assert two.runs() == [] and code_of(two.run, run.id) == "unknown_id"


# Tools that last


def test_a_tool_lasts_through_a_bad_time():
    tries = []

    def flaky(args):
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("down")
        return len(tries)

    with engine(wf.Tool("flaky", flaky, retry={"max_attempts": 4, "backoff": 0})) as eng:
        eng.add(found("flaky"))
        run = ends(eng.start("t"))
        assert run.result() == 3 and by_id(run)["a"].attempts == 1


def test_a_breaker_leaves_a_tool_alone_in_all_engines():
    calls = []

    def down(args):
        calls.append(1)
        raise ConnectionError("down")

    tool = wf.Tool("down", down, breaker=wf.Breaker(failures=2, reset=3600, probes=1))
    codes = []
    for _ in range(2):
        with engine(tool) as eng:
            eng.add(found("down"))
            for _ in range(2):
                codes.append(by_id(ends(eng.start("t"), "failed"))["a"].code)
    assert codes == ["tool_failed", "tool_failed", "circuit_open", "circuit_open"] and len(calls) == 2


def test_a_bulkhead_bounds_calls_and_those_that_wait():
    now, most, lock = [0], [0], threading.Lock()

    def busy(args):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1

    with engine(wf.Tool("busy", busy, bulkhead=wf.Bulkhead(2, queue=100)), concurrency=16) as eng:
        eng.add(found("busy"))
        for run in [eng.start("t") for _ in range(12)]:
            ends(run)
    assert most == [2]
    gate = threading.Event()
    with engine(wf.Tool("busy", lambda args: gate.wait(30), bulkhead=wf.Bulkhead(1, queue=0)), concurrency=4) as eng:
        eng.add(found("busy"))
        first = eng.start("t")
        reaches(first, "running")
        time.sleep(0.2)
        assert by_id(ends(eng.start("t"), "failed"))["a"].code == "rate_limited"
        gate.set()
        ends(first)


def test_a_tool_has_a_time_of_its_own():
    never = threading.Event()
    with engine(wf.Tool("slow", lambda args: never.wait(20), timeout=0.2)) as eng:
        eng.add(found("slow"))
        assert by_id(ends(eng.start("t"), "failed"))["a"].code == "tool_timeout"
    never.set()


def test_options_of_tools_without_sense_are_refused():
    for given in ({"retry": "often"}, {"retry": 0}, {"retry": {"tries": 3}}, {"retry": True}, {"breaker": 5}, {"breaker": wf.Breaker(failures=0)},
                  {"breaker": wf.Breaker(reset=-1)}, {"bulkhead": 8}, {"bulkhead": wf.Bulkhead(0)}, {"bulkhead": wf.Bulkhead(queue=-1)}, {"timeout": "1s"}):
        assert code_of(wf.Tool, "a", print, **given) == "invalid_argument", given
