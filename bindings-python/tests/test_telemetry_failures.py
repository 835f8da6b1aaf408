"""What do spans come to where something hangs, fails or forks, or where there are very many of them?"""

import os
import subprocess
import sys
import threading
import time

import pytest
import quorate
from opentelemetry.sdk.trace import TracerProvider
from quorate import telemetry
from traced import CALL, WITHIN, otel, runtime, settled, tree, votes


def test_a_listener_hears_each_span_once_it_has_ended(caplog):
    heard = []
    telemetry.listen(heard.append)
    try:
        answer = runtime(CALL, "A SECRET.").ask("What?")
        assert [span.name for span in heard] == ["chat", "execute_tool", "chat", "invoke_agent"]
        run = heard[-1]
        assert [span.parent for span in heard] == [run.id, run.id, run.id, None]
        assert run.attributes["gen_ai.usage.output_tokens"] == answer.usage.output
        assert 0 <= run.seconds < 60 and run.to_dict()["name"] == "invoke_agent"

        def refuses(span):
            raise ValueError("no room")

        telemetry.listen(refuses)
        assert runtime("5 mg").ask("Which dose?").text == "5 mg"
        assert "a listener of spans has failed" in caplog.text
    finally:
        telemetry.listen(None)
    heard.clear()
    runtime("5 mg").ask("Which dose?")
    assert heard == []
    with pytest.raises(quorate.QuorateError) as refused:
        telemetry.listen("no function")
    assert refused.value.code == "invalid_argument"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_hears_its_own_spans():
    code = """
import os, quorate
from quorate import telemetry
heard = []
telemetry.listen(heard.append)
quorate.Runtime(model=quorate.ScriptedModel(["a"])).ask("b?")
heard.clear()
child = os.fork()
quorate.Runtime(model=quorate.ScriptedModel(["a"])).ask("b?")
assert [span.name for span in heard] == ["chat", "invoke_agent"], heard
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)


def test_a_member_that_hangs_does_not_hold_the_span_of_its_panel():
    heard, gone = [], threading.Event()
    telemetry.listen(heard.append)
    try:
        hangs = quorate.Member("bob", model=quorate.ScriptedModel(lambda request: gone.wait(20) and votes(request)))
        experts = quorate.Runtime(model=quorate.ScriptedModel(votes))
        panel = experts.panel("Is it?", members=["ann", hangs], options=["yes", "no"], member_seconds=0.3, quorum=0.5)
        assert [one["reason"] for one in panel.dropped] == ["late"]
        settled(lambda: "invoke_agent" in [span.name for span in heard])
        assert next(span for span in heard if span.name == "invoke_agent").seconds < 10
    finally:
        gone.set()
        telemetry.listen(None)


def test_a_call_that_is_not_waited_for_does_not_hold_the_span_of_its_run():
    heard, gone = [], threading.Event()

    @quorate.tool(name="lookup", timeout=0.3)
    def hangs(code: str) -> str:
        """What a code means."""
        gone.wait(20)
        return "late"

    telemetry.listen(heard.append)
    try:
        assert runtime(CALL, "Nobody knows.", tools=[hangs]).ask("What?").status == "done"
        settled(lambda: [span.name for span in heard] == ["chat", "chat", "invoke_agent"])
        assert heard[-1].seconds < 10
        gone.set()
        settled(lambda: len(heard) == 4)
        assert (heard[-1].name, heard[-1].parent) == ("execute_tool", heard[2].id)
    finally:
        gone.set()
        telemetry.listen(None)


def test_no_span_is_lost_among_many_threads():
    heard, interval = [], sys.getswitchinterval()
    telemetry.listen(heard.append)
    sys.setswitchinterval(1e-5)

    def ask():
        experts = quorate.Runtime(model=quorate.ScriptedModel(lambda request: "5 mg"))
        for _ in range(50):
            experts.ask("Which dose?")

    try:
        threads = [threading.Thread(target=ask) for _ in range(24)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        sys.setswitchinterval(interval)
        settled(lambda: len(heard) == 2400)
        runs = {span.id for span in heard if span.name == "invoke_agent"}
        assert len(runs) == 1200 and {span.parent for span in heard if span.name == "chat"} == runs
    finally:
        sys.setswitchinterval(interval)
        telemetry.listen(None)


def test_no_span_of_a_call_that_takes_long_is_lost():
    """One call with more spans than wait."""
    heard = []
    telemetry.listen(heard.append)
    try:
        experts = quorate.Runtime(model=quorate.ScriptedModel(lambda request: "5 mg"))
        task = {"id": "dose", "question": "Which dose?", "expect": {"exact": "5 mg"}}
        quorate.evaluate_agents(experts, [task], repeat=10_000)
        settled(lambda: len(heard) == 20_000)
    finally:
        telemetry.listen(None)


class Breaks(TracerProvider):
    """A provider whose tracers, or processors, fail."""

    def get_tracer(self, *args, **kwargs):
        class Tracer:
            def start_span(self, *args, **kwargs):
                raise RuntimeError("there is no room for spans")

        return Tracer()


def test_a_tracer_that_fails_takes_no_answer(caplog):
    telemetry.instrument(tracer_provider=Breaks())
    heard = []
    telemetry.listen(heard.append)
    try:
        assert runtime("5 mg").ask("Which dose?").text == "5 mg"
        assert "the tracer or the meter has failed" in caplog.text
        assert [span.name for span in heard] == ["chat", "invoke_agent"]
    finally:
        telemetry.listen(None)
        telemetry.uninstrument()


class Meters:
    """A meter that tells a function, which may fail."""

    def __init__(self, record):
        self._record = record

    def get_meter(self, *args, **kwargs):
        return self

    def create_histogram(self, name, *args, **kwargs):
        outer = self

        class Histogram:
            def record(self, value, about):
                outer._record(name)

        return Histogram()


def test_a_meter_that_fails_takes_no_span_and_a_tracer_that_fails_no_metric(otel, caplog):
    provider, exporter, _ = otel

    def fails(name):
        raise RuntimeError("there is no room for metrics")

    telemetry.instrument(tracer_provider=provider, meter_provider=Meters(fails))
    runtime(CALL, "A catheter.").ask("What?")
    assert tree(exporter.get_finished_spans()) == [("", "invoke_agent"), *WITHIN[1:]]
    assert "the tracer or the meter has failed" in caplog.text
    names = []
    telemetry.instrument(tracer_provider=Breaks(), meter_provider=Meters(names.append))
    runtime(CALL, "A catheter.").ask("What?")
    assert sum(name.endswith(".duration") for name in names) == 4


def test_what_waits_is_told_before_nobody_listens():
    heard = []
    telemetry.listen(heard.append)

    @quorate.tool(name="lookup")
    def stops(code: str) -> str:
        """What a code means."""
        telemetry.listen(None)
        return "SECRET"

    try:
        runtime(CALL, "A catheter.", tools=[stops]).ask("What?")
    finally:
        telemetry.listen(None)
    assert [span.name for span in heard] == ["chat"]


def test_a_tracer_that_asks_itself_does_not_wait_for_itself():
    from opentelemetry.sdk.trace import SpanProcessor

    asked = []

    class Asks(SpanProcessor):
        def on_end(self, span):
            if len(asked) < 3:
                asked.append(runtime("5 mg").ask("Which dose?").text)
                telemetry.listen(None)

    provider = TracerProvider()
    provider.add_span_processor(Asks())
    telemetry.instrument(tracer_provider=provider)
    try:
        thread = threading.Thread(target=lambda: runtime("5 mg").ask("Which dose?"), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive() and asked == ["5 mg"] * 3
    finally:
        telemetry.uninstrument()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_another_thread_hands_over_leaves_the_child_free():
    code = """
import os, threading, time, quorate
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from quorate import telemetry

begun, go = threading.Event(), threading.Event()

class Slow(SpanProcessor):
    def on_start(self, span, parent_context=None):
        begun.set()
        go.wait(30)

provider = TracerProvider()
provider.add_span_processor(Slow())
telemetry.instrument(tracer_provider=provider)
ask = lambda: quorate.Runtime(model=quorate.ScriptedModel(["a"])).ask("b?")
other = threading.Thread(target=ask)
other.start()
assert begun.wait(20)
child = os.fork()
go.set()
if child == 0:
    heard = []
    telemetry.uninstrument()
    telemetry.listen(heard.append)
    ask()
    os._exit(0 if [span.name for span in heard] == ["chat", "invoke_agent"] else 1)
until = time.monotonic() + 20
while time.monotonic() < until:
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.05)
else:
    os.kill(child, 9)
    raise SystemExit("the child hangs")
other.join()
assert status == 0, status
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)
