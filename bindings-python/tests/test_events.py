"""Does everybody who is subscribed hear what has happened, at least once, in order, and also after a restart?"""

from __future__ import annotations

import asyncio
import datetime
import signal
import threading
import time

import pytest
from test_queues import start, until

import quorate


def test_every_group_hears_what_matches_and_its_members_share_it():
    bus = quorate.StateStore().events
    billing, audit = bus.subscribe("order.*", group="billing"), bus.subscribe(">", group="audit")
    member = bus.subscribe("order.*", group="billing")
    assert [bus.publish("order.created", {"id": n}) for n in range(4)] == [1, 2, 3, 4]
    assert bus.publish("stock.low", key="swabs") == 5 == bus.last()
    shared = billing.take(2) + member.take(10)
    assert [(one.seq, one.subject, one.data) for one in shared] == [(n + 1, "order.created", {"id": n}) for n in range(4)]
    heard = audit.take(10)
    assert [one.seq for one in heard] == [1, 2, 3, 4, 5] and (heard[4].key, heard[4].data) == ("swabs", None)
    for event in shared:
        billing.ack(event)
    assert billing.stats().done == 4 and audit.stats().held == 5
    assert bus.subscriptions() == [{"group": "audit", "pattern": ">"}, {"group": "billing", "pattern": "order.*"}] or len(bus.subscriptions()) == 2
    assert member.delete() and len(bus.subscriptions()) == 1


def test_events_of_one_key_wait_for_each_other_and_those_that_are_dead_do_not_hold_them_up():
    bus = quorate.StateStore().events
    group = bus.subscribe("a", group="g", retry=1)
    for n in range(2):
        bus.publish("a", n, key="k")
    [first] = group.take(10)
    assert group.nack(first, reason="no")
    [second] = group.take(10)
    group.ack(second)
    [dead] = group.dead.list()
    assert (dead.seq, dead.data, dead.reason, dead.key) == (1, 0, "no", "k")
    assert group.dead.replay([dead]) == 1 and group.take()[0].data == 0


def test_where_a_group_begins():
    bus = quorate.StateStore().events
    for n in range(3):
        bus.publish("a", n)
    assert bus.subscribe("a", group="last").take(9) == []
    assert [one.data for one in bus.subscribe("a", group="first", from_="first").take(9)] == [0, 1, 2]
    assert [one.data for one in bus.subscribe("a", group="second", from_=2).take(9)] == [1, 2]


def test_events_are_replayed_from_a_number_or_a_time_and_pruned():
    bus = quorate.StateStore().events
    group, other = bus.subscribe("a", group="g"), bus.subscribe("a", group="h")
    bus.publish("a", 0)
    time.sleep(0.02)
    since = time.time()
    bus.publish("a", 1)
    for one in (group, other):
        for event in one.take(9):
            one.ack(event)
    assert bus.replay(1, group="g") == 2 and [one.data for one in group.take(9)] == [0, 1]
    assert bus.replay(since) == 1, "the other group has it before it already"
    assert bus.replay(datetime.datetime.fromtimestamp(since), group="h") == 0
    with pytest.raises(quorate.InvalidInput):
        bus.prune()
    for one in (group, other):
        one.delete()
    assert bus.prune(keep=1) == 1 and bus.prune(older_than=0) == 1


def test_handlers_hear_in_the_background_and_what_they_raise_is_tried_again():
    store = quorate.StateStore()
    bus, heard = store.events, []

    def handler(event):
        heard.append((event.data, event.attempts))
        if event.attempts == 1:
            raise ValueError("not yet")

    with bus.subscribe("order.*", handler, group="billing", retry={"first": 0}, poll=0.01) as group:
        bus.publish("order.created", 7)
        until(lambda: group.stats().done == 1)
    assert heard == [(7, 1), (7, 2)]
    bus.publish("order.created", 8)
    time.sleep(0.05)
    assert heard[2:] == [] and group.stats().ready == 1, "the group stays subscribed"


def test_the_same_calls_are_awaited():
    async def main():
        bus, done, heard = quorate.StateStore().events, asyncio.Event(), []

        async def handler(event):
            heard.append((event.subject, asyncio.get_running_loop()))
            done.set()

        async with (await bus.aio.subscribe("a.>", handler, group="g", poll=0.01)).aio:
            assert await bus.aio.publish("a.b.c", {"x": 1}) == 1
            await asyncio.wait_for(done.wait(), 20)
        assert heard == [("a.b.c", asyncio.get_running_loop())]
        assert await bus.aio.replay(1) == 1 and await bus.aio.last() == 1

    asyncio.run(main())


def test_a_group_hears_after_a_restart_what_was_published_while_nobody_listened(tmp_path):
    with quorate.StateStore(tmp_path) as store:
        store.events.subscribe("order.*", group="billing")
    with quorate.StateStore(tmp_path) as store:
        store.events.publish("order.created", 1)
    heard, done = [], threading.Event()
    with quorate.StateStore(tmp_path) as store:
        with store.events.subscribe("order.*", lambda event: (heard.append(event.data), done.set()), group="billing", poll=0.01):
            assert done.wait(20)
    assert heard == [1]


def test_when_a_listener_is_killed_another_of_its_group_hears_the_event(tmp_path):
    code = """
import sys, time, quorate
def handler(event):
    print("has", event.data, event.attempts, flush=True)
    time.sleep(3600)
quorate.StateStore(sys.argv[1]).events.subscribe("a", handler, group="g", lease=3600, poll=0.01).workers.wait()
"""
    with quorate.StateStore(tmp_path) as store:
        group = store.events.subscribe("a", group="g", lease=3600)
        store.events.publish("a", "x")
        listener = start(code, tmp_path)
        assert listener.stdout.readline() == "has x 1\n"
        assert group.take() == []
        listener.send_signal(signal.SIGKILL)
        listener.wait(20)
        listener.stdout.close()
        [event] = group.take()
        assert (event.data, event.attempts) == ("x", 2)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda bus: bus.publish("a..b"), "invalid_argument"),
        (lambda bus: bus.publish("a.*"), "invalid_argument"),
        (lambda bus: bus.publish(7), "invalid_argument"),
        (lambda bus: bus.publish("a", {"x": float("inf")}), "not_finite"),
        (lambda bus: bus.publish("a", "\udc00"), "invalid_text"),
        (lambda bus: bus.publish("a", 1, key=7), "invalid_argument"),
        (lambda bus: bus.subscribe(">.a"), "invalid_argument"),
        (lambda bus: bus.subscribe("a", 7), "invalid_argument"),
        (lambda bus: bus.subscribe("a", from_="yesterday"), "invalid_argument"),
        (lambda bus: bus.subscribe("a", group=""), "invalid_argument"),
        (lambda bus: bus.subscribe("a", lease=0), "invalid_argument"),
        (lambda bus: bus.replay(True), "invalid_argument"),
        (lambda bus: bus.replay(-1), "invalid_argument"),
        (lambda bus: bus.replay(2**80), "invalid_argument"),
        (lambda bus: bus.replay(float("nan")), "not_finite"),
        (lambda bus: bus.prune(keep=-1), "invalid_argument"),
    ],
)
def test_what_is_no_event_or_option_is_refused_by_code(call, code):
    bus = quorate.StateStore().events
    with pytest.raises(quorate.QuorateError) as error:
        call(bus)
    assert error.value.code == code and bus.last() == 0
