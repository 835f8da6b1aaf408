"""Does a story say what it says, does its draft come of the right template, and is it known whether the job got done?"""

from __future__ import annotations

import asyncio

import pytest

import quorate
from quorate import workflows as wf

SENTENCE = "As a shop owner, when order 1042 is four days late, I want to find where the parcel is, so I can tell the customer."


def story(**members):
    return wf.JobStory(**{"situation": "an order is late", "motivation": "see where it is", "expected_outcome": "tell the customer", **members})


def test_a_sentence_is_read_and_what_is_missing_is_named():
    read = wf.JobStory.parse(SENTENCE)
    assert (read.role, read.situation, read.motivation) == ("a shop owner", "order 1042 is four days late", "find where the parcel is")
    assert (read.expected_outcome, read.priority, read.outcomes, read.status) == ("tell the customer", 1, [], "open")
    with pytest.raises(quorate.InvalidInput) as error:
        wf.JobStory.parse("When a patient falls, I want to be called")
    assert error.value.code == "story_syntax" and "has no outcome" in error.value.message


def test_a_story_is_made_of_its_parts():
    made = story(title="Late", domain="customer_service", priority=7, outcomes=["hours", {"metric": "calls", "target": 3}, wf.JobOutcome("days", unit="days")])
    assert [(one.metric, one.target, one.unit) for one in made.outcomes] == [("hours", None, None), ("calls", 3.0, None), ("days", None, "days")]
    assert made == wf.JobStory(**{name: made[name] for name in made.keys()}) and "Late" in repr(made)
    with pytest.raises(TypeError):
        wf.JobStory(motivation="x", expected_outcome="y")
    for members, code in [
        ({"situation": " "}, "invalid_argument"),
        ({"situation": 7}, "invalid_argument"),
        ({"title": "\ud800"}, "invalid_text"),
        ({"title": "x" * 1000}, "too_large"),
        ({"motivation": "a\0b"}, "invalid_text"),
        ({"priority": 10**30}, "invalid_argument"),
        ({"priority": True}, "invalid_argument"),
        ({"outcomes": "hours"}, "invalid_argument"),
        ({"outcomes": ["hours", "hours"]}, "invalid_argument"),
        ({"outcomes": [{"metric": "hours", "target": float("nan")}]}, "not_finite"),
        ({"outcomes": [{"hours": 1}]}, "invalid_argument"),
        ({"outcomes": [7]}, "invalid_argument"),
        ({"status": "lost"}, "invalid_argument"),
    ]:
        with pytest.raises(quorate.QuorateError) as error:
            story(**members)
        assert (error.value.code, members) == (code, members)


def test_a_draft_is_of_the_template_that_does_the_job_and_runs_when_it_is_added():
    with wf.Engine() as engine:
        draft = engine.generate(wf.JobStory.parse(SENTENCE), customization={"queue": {"name": "late"}})
        assert (draft.template, draft.input, draft.unfilled) == ("track_order", {"order": "1042"}, [])
        assert 0.35 < draft.score <= 1 and "name: late" in draft.workflow
        why = draft.explain()
        assert why.candidates[0].template == "track_order" and why.filled[0].words and why.customized == ["queue.name"]
        assert "track_order" in str(why)
        assert engine.runs() == [] and draft.id not in [one.id for one in engine.list()], "nothing is started"
        engine.add(draft.workflow)
        run = engine.start(draft.id, draft.input, offline=True)
        assert run.wait(60) == "completed" and run.result()["place"] == "Rotterdam"


def test_a_template_may_be_named_and_what_the_story_does_not_give_is_listed():
    with wf.Engine() as engine:
        draft = engine.generate(story(), type="track_order")
        assert [(one.path, one.required) for one in draft.unfilled][:1] == [("input.order", True)]
        assert engine.generate({**story().to_dict(), "domain": None}, "customer_service").template
        for call, code in [
            (lambda: engine.generate(story(situation="the moon is full", motivation="howl", expected_outcome="be heard")), "no_template"),
            (lambda: engine.generate(story(), type="nobody's"), "unknown_id"),
            (lambda: engine.generate(story(), type=7), "invalid_argument"),
            (lambda: engine.generate(story(), customization=["x"]), "invalid_argument"),
            (lambda: engine.generate(story(), type="track_order", customization={"steps": 7}), "invalid_document"),
            (lambda: engine.generate("When"), "invalid_argument"),
            (lambda: engine.generate({"situation": "x"}), "invalid_argument"),
        ]:
            with pytest.raises(quorate.QuorateError) as error:
                call()
            assert error.value.code == code


def test_stories_are_kept_with_what_was_measured(tmp_path):
    with quorate.StateStore(tmp_path) as store:
        kept = store.stories.add(story(outcomes=[{"metric": "hours", "baseline": 30, "target": 4}]))
        assert kept.status == "open" and store.stories.outcome(kept.id, "hours", 12).status == "measuring"
    with quorate.StateStore(tmp_path) as store, quorate.StateStore(tmp_path, tenant="b") as other:
        kept = store.stories.outcome(kept.id, "hours", 3.5)
        assert kept.status == "achieved" and [one.value for one in kept.history("hours")] == [12.0, 3.5]
        assert kept.latest("hours").reached and store.stories.get(kept.id) == kept
        assert other.stories.list() == []
        assert [one.id for one in store.stories.list("achieved")] == [kept.id] and store.stories.list("open") == []
        for call, code in [
            (lambda: store.stories.outcome(kept.id, "hour", 1), "not_found"),
            (lambda: store.stories.outcome(kept.id, "hours", float("nan")), "not_finite"),
            (lambda: store.stories.outcome(kept.id, "hours", "1"), "invalid_argument"),
            (lambda: store.stories.outcome("nobody", "hours", 1), "unknown_id"),
            (lambda: store.stories.list("lost"), "invalid_argument"),
            (lambda: store.stories.add(7), "invalid_argument"),
        ]:
            with pytest.raises(quorate.QuorateError) as error:
                call()
            assert error.value.code == code
        assert store.stories.abandon(kept.id).status == "abandoned" and store.stories.abandon(kept.id, False).status == "achieved"
        store.stories.remove(kept.id)
        assert store.stories.list() == []


def test_the_same_calls_are_awaited():
    async def main():
        store = quorate.StateStore()
        kept = await store.stories.aio.add(story())
        assert (await store.stories.aio.outcome(kept.id, "any", 1)).status == "measuring"
        assert len(await store.stories.aio.list()) == 1
        async with wf.Engine(store).aio as engine:
            assert (await engine.generate(wf.JobStory.parse(SENTENCE))).template == "track_order"

    asyncio.run(main())
