"""Do queues, events, stories and drafts give in Python what they give in Rust? ``bindings/tests/lines.rs`` writes the answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import quorate
from quorate import workflows as wf

HERE = Path(__file__).resolve().parents[2] / "tests" / "parity"
FIXTURE = json.loads((HERE / "lines.json").read_text(encoding="utf-8"))
ANSWERS = json.loads((HERE / "line_answers.json").read_text(encoding="utf-8"))

TIMES = {"put_at", "died_at", "lease", "lease_until", "time", "added"}


def plainly(value):
    """A result without what differs from one run to the next."""
    if isinstance(value, (list, tuple)):
        return [plainly(one) for one in value]
    if not hasattr(value, "to_dict"):
        return value
    members = {name: plainly(value[name]) for name in value.keys() if name not in TIMES}
    return members


class Host:
    """What a scenario does, one by one."""

    def __init__(self):
        self.store = quorate.StateStore()
        self.engine = wf.Engine(self.store, concurrency=0)
        self.queues, self.groups, self.taken, self.events, self.story = {}, {}, {}, {}, None

    def queue(self, name, options):
        self.queues[name] = self.store.queue(name, **options)

    def options(self, name):
        return plainly(self.queues[name].options())

    def put(self, name, data, options):
        return plainly(self.queues[name].put(data, **options))

    def take(self, name, n):
        found = self.queues[name].take(n)
        self.taken.update({one.id: one for one in found})
        return plainly(found)

    def ack(self, name, id):
        return self.queues[name].ack(self.taken[id])

    def nack(self, name, id, options):
        return self.queues[name].nack(self.taken[id], **options)

    def dead(self, name):
        return plainly(self.queues[name].dead.list())

    def replay(self, name, ids):
        return self.queues[name].dead.replay(ids)

    def discard(self, name, ids):
        return self.queues[name].dead.discard(ids)

    def stats(self, name):
        return plainly(self.queues[name].stats())

    def delete(self, name):
        return self.queues[name].delete()

    def publish(self, subject, data, key):
        return self.store.events.publish(subject, data, key=key)

    def subscribe(self, pattern, options):
        self.groups[options["group"]] = self.store.events.subscribe(pattern, **options)

    def hear(self, group, n):
        found = self.groups[group].take(n)
        self.events.update({(group, one.seq): one for one in found})
        return plainly(found)

    def heard(self, group, seq):
        return self.groups[group].ack(self.events[group, seq])

    def unheard(self, group, seq, options):
        return self.groups[group].nack(self.events[group, seq], **options)

    def dead_events(self, group):
        return plainly(self.groups[group].dead.list())

    def replay_events(self, since, group):
        return self.store.events.replay(since, group=group)

    def last(self):
        return self.store.events.last()

    def subscriptions(self):
        return plainly(self.store.events.subscriptions())

    def parse(self, text):
        return plainly(wf.JobStory.parse(text))

    def told(self, members):
        return wf.JobStory(**members)

    def keep(self, members):
        kept = self.store.stories.add(members)
        self.story = kept.id
        return plainly(kept.story)

    def kept_as(self, kept):
        return {"status": kept.status, "measurements": plainly(kept.measurements)}

    def outcome(self, metric, value):
        return self.kept_as(self.store.stories.outcome(self.story, metric, value))

    def abandon(self, abandoned):
        return self.kept_as(self.store.stories.abandon(self.story, abandoned))

    def kept(self, status):
        return [self.kept_as(one) for one in self.store.stories.list(status)]

    def generate(self, sentence, type, customization):
        draft = self.engine.generate(wf.JobStory.parse(sentence), type, customization)
        told = {name: plainly(draft[name]) for name in ("id", "workflow", "template", "template_version", "input", "unfilled")}
        why = draft.explain()
        return {**told, "filled": plainly(why.filled), "named": why.named, "customized": why.customized, "best": why.candidates[0].template}


def done(scenario):
    host, answers = Host(), []
    with host.engine:
        for verb, *given in scenario["does"]:
            try:
                made = plainly(host.told(*given)) if verb == "story" else getattr(host, verb)(*given)
            except TypeError:
                # What Python itself refuses: a keyword that is not there, or lacks.
                made = {"error": "invalid_argument"}
            except quorate.QuorateError as error:
                made = {"error": error.code}
            answers.append(made)
    return answers


@pytest.mark.parametrize("scenario", FIXTURE["scenarios"], ids=lambda scenario: scenario["name"])
def test_what_is_done_gives_the_answers_of_rust(scenario):
    found, expected = done(scenario), ANSWERS[scenario["name"]]
    assert len(found) == len(expected)
    for does, mine, theirs in zip(scenario["does"], found, expected):
        assert (does, mine) == (does, theirs)


def test_every_answer_is_looked_at():
    assert set(ANSWERS) == {scenario["name"] for scenario in FIXTURE["scenarios"]}
