"""Are all steps of a saga done, or all undone, whatever fails and whoever is killed?"""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest
from test_queues import start

import quorate
from quorate import workflows as wf


def test_steps_are_done_once_and_give_what_they_gave():
    store, ran = quorate.StateStore(), []

    def reserve():
        ran.append(threading.get_ident())
        return {"seat": "12A", "at": (1, 2)}

    with store.saga("order") as saga:
        assert saga.do("reserve", reserve) == {"seat": "12A", "at": [1, 2]}
        assert saga.do("pay", lambda: None, undo=lambda: None) is None
        assert saga.status == "running"
    assert saga.status == "done" and ran == [threading.get_ident()], "on the thread of who asks"
    with store.saga("order") as again:
        assert again.do("reserve", reserve) == {"seat": "12A", "at": [1, 2]}
    assert again.status == "done" and len(ran) == 1


def test_a_step_that_fails_undoes_those_before_it_in_reverse_and_raises_what_it_raised():
    undone, raised = [], ValueError("the card is not valid")

    def pay():
        raise raised

    with pytest.raises(ValueError) as error:
        with quorate.StateStore().saga("order") as saga:
            for name in ("a", "b"):
                saga.do(name, lambda name=name: name, undo=undone.append)
            saga.do("nothing to undo", lambda: 1)
            saga.do("takes nothing", lambda: 1, undo=lambda: undone.append("called"))
            saga.do("pay", pay, undo=lambda value: undone.append("never"))
    assert error.value is raised and undone == ["called", "b", "a"] and saga.status == "failed"


def test_what_the_block_raises_undoes_everything_and_so_does_ctrl_c():
    for raised in (KeyError("x"), KeyboardInterrupt(), quorate.Unavailable("rate_limited", "slow down")):
        undone = []
        with pytest.raises(type(raised)):
            with quorate.StateStore().saga("order") as saga:
                saga.do("a", lambda: 1, undo=undone.append)
                raise raised
        assert undone == [1] and saga.status == "failed"


def test_what_cannot_be_undone_is_said_and_tried_again_when_it_is_opened_again():
    store, undone, works = quorate.StateStore(), [], []

    def back(value):
        if not works:
            raise OSError("no connection")
        undone.append(value)

    def order(saga):
        saga.do("a", lambda: "a", undo=undone.append)
        saga.do("b", lambda: "b", undo=back)
        saga.do("c", lambda: 1 / 0)

    with pytest.raises(quorate.QuorateError) as error:
        with store.saga("order", undo=wf.Retry(max_attempts=2, initial=0)) as saga:
            order(saga)
    assert error.value.code == "compensation_failed" and "no connection" in error.value.message
    assert saga.status == "compensation_failed" and undone == [], "those before it stay"
    works.append(True)
    with pytest.raises(quorate.QuorateError) as error:
        with store.saga("order") as saga:
            order(saga)
    assert "division by zero" in error.value.message and undone == ["b", "a"] and saga.status == "failed"


def test_undoing_is_tried_as_often_as_it_says():
    tries = []

    def back(value):
        tries.append(value)
        if len(tries) < 3:
            raise OSError("not yet")

    with pytest.raises(ZeroDivisionError):
        with quorate.StateStore().saga("order", undo={"max_attempts": 3, "first": 0}) as saga:
            saga.do("a", lambda: 1, undo=back)
            saga.do("b", lambda: 1 / 0)
    assert tries == [1, 1, 1] and saga.status == "failed"


def test_steps_may_be_coroutine_functions():
    undone = []

    async def step():
        await asyncio.sleep(0)
        return 1

    async def back(value):
        await asyncio.sleep(0)
        undone.append(value)

    with pytest.raises(ZeroDivisionError):
        with quorate.StateStore().saga("order") as saga:
            assert saga.do("a", step, undo=back) == 1
            saga.do("b", lambda: 1 / 0)
    assert undone == [1]


def test_sagas_of_asyncio_run_on_its_loop_and_undo_what_a_cancelled_task_has_done():
    async def main():
        store, undone, loops = quorate.StateStore(), [], []
        begun = asyncio.Event()

        async def reserve():
            loops.append(asyncio.get_running_loop())
            return "a"

        async def back(value):
            loops.append(asyncio.get_running_loop())
            await asyncio.sleep(0.01)
            undone.append(value)

        async def hang():
            begun.set()
            await asyncio.sleep(3600)

        async def order(name):
            async with store.aio.saga(name) as saga:
                await saga.do("a", reserve, undo=back)
                await saga.do("b", lambda: 2, undo=undone.append)
                await saga.do("hang", hang)

        task = asyncio.ensure_future(order("x"))
        await asyncio.wait_for(begun.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)
        assert undone == [2, "a"] and set(loops) == {asyncio.get_running_loop()}
        async with store.aio.saga("y") as saga:
            assert await saga.do("a", reserve) == "a"
        assert saga.status == "done"
        with pytest.raises(quorate.QuorateError) as error:
            await saga.do("b", reserve)
        assert error.value.code == "closed"

    asyncio.run(main())


def test_a_saga_that_is_asked_by_its_own_step_says_so():
    with quorate.StateStore().saga("order") as saga:
        with pytest.raises(quorate.InvalidInput) as error:
            saga.do("a", lambda: saga.do("b", lambda: 1))
        assert "one of its own steps" in error.value.message
        with pytest.raises(quorate.QuorateError):
            saga.finish()
        saga.close()


def test_others_wait_while_somebody_has_it(tmp_path):
    with quorate.StateStore(tmp_path) as store:
        with store.saga("order") as saga:
            with pytest.raises(quorate.Conflict) as error:
                store.saga("order")
            assert error.value.code == "run_conflict"
            saga.do("a", lambda: 1)


PROGRAM = """
import os, signal, sys, quorate
def note(text):
    with open(sys.argv[2], "a") as out: print(text, file=out)
def step(name):
    note(name)
    if name == sys.argv[3]: os.kill(os.getpid(), signal.SIGKILL)
    return name
def order(saga):
    for name in "abc":
        saga.do(name, lambda: step(name), undo=lambda value, name=name: note(f"undo {name} {value}"))
with quorate.StateStore(sys.argv[1]).saga("order", recover=sys.argv[4]) as saga:
    order(saga)
print(saga.status)
"""


@pytest.mark.parametrize("recover", ["undo", "forward"])
def test_a_process_that_is_killed_in_the_middle_is_undone_or_gone_on_with(tmp_path, recover):
    notes = tmp_path / "notes"
    killed = start(PROGRAM, tmp_path / "store", notes, "b", recover)
    assert killed.wait(60) == -signal.SIGKILL
    killed.stdout.close()
    assert notes.read_text().split("\n") == ["a", "b", ""]
    again = start(PROGRAM, tmp_path / "store", notes, "-", recover)
    output, _ = again.communicate(timeout=60)
    told = notes.read_text().split("\n")[2:-1]
    if recover == "forward":
        assert (again.returncode, output, told) == (0, "done\n", ["b", "c"])
    else:
        assert again.returncode == 1 and "ended in the middle of it" in output and told == ["undo b None", "undo a a"]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda store: store.saga(""), "invalid_argument"),
        (lambda store: store.saga("\ud800"), "invalid_text"),
        (lambda store: store.saga("s", recover="back"), "invalid_argument"),
        (lambda store: store.saga("s", undo=0), "invalid_argument"),
        (lambda store: store.saga("s").do("", lambda: 1), "invalid_argument"),
        (lambda store: store.saga("s").do("a", None), "invalid_argument"),
        (lambda store: store.saga("s").do("a", lambda: 1, undo=7), "invalid_argument"),
        (lambda store: store.saga("s").fail(7), "invalid_argument"),
    ],
)
def test_what_is_no_step_or_option_is_refused_by_code(call, code):
    with pytest.raises(quorate.QuorateError) as error:
        call(quorate.StateStore())
    assert error.value.code == code


def test_the_results_of_steps_are_json_whatever_they_are():
    circle = []
    circle.append(circle)
    with quorate.StateStore().saga("order") as saga:
        for n, value in enumerate([circle, object(), float("nan"), "\ud800", 10**40]):
            saga.do(f"s{n}", lambda value=value: value)
    assert saga.status == "done", "what has taken effect does not fail for what it gives"
