"""Are experts and panels asked, watched, left and taken up again?"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

import httpx
import pytest
import quorate
from conftest import ACME, DOSE, EXPERT, GLOBEX, LABEL, bearer, events, served, settings_of, wait_until
from fastapi.testclient import TestClient
from quorate_host.app import create_app

ASKED = {"question": DOSE, "agent": EXPERT}
SLOW = [sys.executable, "-m", "uvicorn", "--factory", "slow:app", "--no-access-log"]


def test_an_expert_answers_offline_with_citations(filled):
    answer = filled.post("/v1/ask", json=ASKED).json()
    assert (answer["status"], answer["agent"], answer["mode"]) == ("done", EXPERT, "manual")
    cited = answer["citations"][0]
    assert "500 mg twice daily" in answer["text"] and LABEL["text"][cited["start"] : cited["end"]] == cited["text"]
    kept = filled.get(f"/v1/runs/{answer['run_id']}").json()
    assert kept["answer"] == answer and kept["status"] == "done" and kept["problem"] is None
    for more in ({}, {"stream": True}, {"detach": True}):
        refused = filled.post("/v1/ask", json={"question": DOSE, "agent": "nobody", **more})
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_id"), more
    assert filled.get("/v1/runs", params={"status": "done"}).json()["runs"][0]["run_id"] == answer["run_id"]
    assert filled.delete(f"/v1/runs/{answer['run_id']}").status_code == 204
    assert filled.get(f"/v1/runs/{answer['run_id']}").status_code == 404


def test_events_have_ids_and_the_same_run_is_not_asked_again(filled):
    for asked in ({"json": {**ASKED, "stream": True}}, {"json": ASKED, "headers": {"accept": "text/event-stream"}}):
        answer = filled.post("/v1/ask", **asked)
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer.text)
        kinds = [kind for _, kind, _ in told]
        assert kinds[0] == "run_start" and kinds[-1] == "end" and len(set(kinds) & {"end", "error", "waiting", "cancelled"}) == 1
        assert told[-1][2]["result"]["text"].startswith("The usual starting dose")
        run = told[0][2]["run_id"]
        assert [id for id, _, _ in told] == [f"{run}.{number}.0" for number in range(1, len(told) + 1)]
    count = len(filled.get("/v1/runs").json()["runs"])
    for at in range(len(told)):
        rest = events(filled.post("/v1/ask", json={**ASKED, "stream": True}, headers={"last-event-id": told[at][0]}).text)
        assert [one[0] for one in rest] == [one[0] for one in told[at + 1 :]]
    assert len(filled.get("/v1/runs").json()["runs"]) == count


def test_the_journal_gives_what_the_stream_gave(app, tmp_path):
    with TestClient(app, headers=ACME) as client:
        client.post("/v1/documents", json={"documents": [LABEL]})
        told = events(client.post("/v1/ask", json={**ASKED, "stream": True}).text)
    # Another process: nothing is in memory.
    with TestClient(create_app(settings_of(tmp_path)), headers=ACME) as client:
        run = told[0][2]["run_id"]
        stream = {"accept": "text/event-stream"}
        assert events(client.get(f"/v1/runs/{run}/events", headers=stream).text) == told
        for at in range(len(told)):
            rest = events(client.get(f"/v1/runs/{run}/events", headers={**stream, "last-event-id": told[at][0]}).text)
            assert rest == told[at + 1 :]
        # What is no place of this run is none.
        for id in ("x", "a.b.c", f"{run}.-1.0", "other.2.0", f"{run}.9999999999999999.0"):
            assert events(client.get(f"/v1/runs/{run}/events", headers={**stream, "last-event-id": id}).text) == told
        listed = client.get(f"/v1/runs/{run}/events").json()["events"]
        assert [one["type"] for one in listed] == [kind for _, kind, _ in told]


def test_a_panel_decides_and_is_watched(filled):
    members = ["clinical-pharmacy", {"id": "primary-care", "weight": 2.0}, "internal-medicine-unknown"]
    assert filled.post("/v1/panels", json={"question": DOSE, "members": members}).json()["code"] == "unknown_id"
    found = filled.post("/v1/panels", json={"question": DOSE, "members": members[:2]}).json()
    assert (found["status"], found["score"]["level"], len(found["ballots"])) == ("done", "unanimous", 2)
    told = events(filled.post("/v1/panels", json={"question": DOSE, "size": 3, "type": "delphi", "stream": True}).text)
    kinds = [kind for _, kind, _ in told]
    assert kinds[0] == "run_start" and "round_start" in kinds and kinds[-1] == "end"
    rest = events(filled.post("/v1/panels", json={"question": DOSE}, headers={"last-event-id": told[2][0]}).text)
    assert rest == told[3:]


def test_an_idempotency_key_gives_the_run_that_there_is(filled):
    key = {"idempotency-key": "k-1"}
    first, second = (filled.post("/v1/ask", json=ASKED, headers=key).json() for _ in range(2))
    assert first == second
    told = events(filled.post("/v1/ask", json={**ASKED, "stream": True}, headers=key).text)
    assert told[0][2]["run_id"] == first["run_id"] and told[-1][1] == "end" and told[0][1] == "run_start"
    other = filled.post("/v1/ask", json={**ASKED, "question": "Something else?"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "run_conflict")
    # The keys of another user, and of another tenant, are others.
    for who in (bearer(user="eve"), GLOBEX):
        assert filled.post("/v1/ask", json=ASKED, headers={**key, **who}).json()["run_id"] != first["run_id"]
    panels = [filled.post("/v1/panels", json={"question": DOSE, "size": 2}, headers=key).json()["run_id"] for _ in range(2)]
    assert panels[0] == panels[1] != first["run_id"]
    assert filled.post("/v1/ask", json=ASKED, headers={"idempotency-key": "a b"}).status_code == 422


def test_a_conversation_is_its_users_own(tmp_path):
    model = quorate.ScriptedModel(lambda request: " / ".join(str(one["content"]) for one in request["messages"] if one["role"] != "system"))
    with TestClient(create_app(settings_of(tmp_path, catalog=None), model=model), headers=ACME) as client:
        for question in ("My name is Ann.", "Who am I?"):
            answer = client.post("/v1/ask", json={"question": question, "conversation": "c1"}).json()
        assert "My name is Ann." in answer["text"]
        other = client.post("/v1/ask", json={"question": "Who am I?", "conversation": "c1"}, headers=bearer(user="eve")).json()
        assert "Ann" not in other["text"]


def test_a_call_waits_for_a_decision_of_who_may_review(tmp_path):
    sent = []

    @quorate.tool(effect="write")
    def send(to: str) -> str:
        sent.append(to)
        return "sent"

    def say(request):
        done = any(one["role"] == "tool" for one in request["messages"])
        return "Done." if done else {"tool_calls": [{"id": "c1", "name": "send", "arguments": {"to": "everybody"}}]}

    app = create_app(settings_of(tmp_path, catalog=None), model=quorate.ScriptedModel(say), tools=[send])
    with TestClient(app, headers=ACME) as client:
        waiting = client.post("/v1/ask", json={"question": "Send the letter."}).json()
        assert waiting["status"] == "waiting" and waiting["pending"][0]["arguments"] == {"to": "everybody"}
        path = f"/v1/runs/{waiting['run_id']}/resume"
        body = {"decisions": {"c1": {"arguments": {"to": "ann"}}}}
        assert client.post(path, json=body, headers=bearer(permissions=("read", "write"))).status_code == 403
        assert sent == []
        told = events(client.post(path, json={**body, "stream": True}).text)
        assert told[-1][1] == "end" and told[-1][2]["result"]["text"] == "Done." and sent == ["ann"]
        # Ids go on where the run went on.
        numbers = [int(id.split(".")[1]) for id, _, _ in told]
        assert numbers == sorted(numbers) and numbers[0] > 1
        again = client.post(path, json=body)
        assert (again.status_code, again.json().get("status")) == (200, "done") and sent == ["ann"]


def test_limits_of_the_service_hold_whatever_the_caller_asks_for(tmp_path):
    model = quorate.ScriptedModel(lambda request: time.sleep(1.5) or "late")
    app = create_app(settings_of(tmp_path, catalog=None, max_seconds=0.5, runs=1), model=model)
    with TestClient(app, headers=ACME) as client:
        start = time.monotonic()
        answer = client.post("/v1/ask", json={"question": "x", "budget": {"max_seconds": 80_000}}).json()
        assert answer["status"] == "partial" and answer["stopped_by"] == "max_seconds", answer


def test_runs_that_are_left_are_cancelled_unless_detached(tmp_path):
    with served(tmp_path / "kb", command=SLOW, SLOW_SECONDS="1.5", QUORATE_HOST_CATALOG="", QUORATE_HOST_RUNS="2") as host:

        def left(**more):
            body = {"question": f"Left? {len(seen)}", **more}
            with host.client.stream("POST", "/v1/ask", json={**body, "stream": True}) as answer:
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        run = json.loads(line[6:])["run_id"]
                        break
            seen.append(run)
            return run

        def status(run):
            return host.client.get(f"/v1/runs/{run}").json()["status"]

        seen = []
        gone, kept = left(), left(detach=True)
        wait_until(lambda: status(gone) == "cancelled", 5)
        wait_until(lambda: status(kept) == "done", 10)
        # A client that waits for JSON and goes away.
        with pytest.raises(httpx.ReadTimeout):
            host.client.post("/v1/ask", json={"question": "Impatient?"}, timeout=0.4)
        wait_until(lambda: [one["status"] for one in host.client.get("/v1/runs").json()["runs"]].count("cancelled") == 2, 5)
        # The answer comes later: detached without a stream, from another connection, by the key of the first one.
        key = {"idempotency-key": "later"}
        begun = host.client.post("/v1/ask", json={"question": "Later?", "detach": True}, headers=key)
        assert begun.status_code == 202 and begun.json()["status"] == "running"
        told = events(host.client.get(begun.headers["location"] + "/events", headers={"accept": "text/event-stream"}).text)
        assert told[-1][1] == "end" and any(kind == "text" for _, kind, _ in told)
        joined = host.client.post("/v1/ask", json={"question": "Later?"}, headers=key).json()
        assert joined["run_id"] == begun.json()["run_id"] and joined["status"] == "done"
        # Ended from elsewhere.
        run = host.client.post("/v1/ask", json={"question": "Stop?", "detach": True}).json()["run_id"]
        host.client.post(f"/v1/runs/{run}/cancel")
        wait_until(lambda: status(run) == "cancelled", 5)
        # So many and no more at once.
        for i in range(2):
            host.client.post("/v1/ask", json={"question": f"Many {i}?", "detach": True})
        refused = host.client.post("/v1/ask", json={"question": "One more?"})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_runs") and refused.headers["retry-after"]
        assert host.client.post("/v1/ask", json={"question": "Theirs?"}, headers=GLOBEX).status_code == 200


def test_two_who_ask_the_same_with_one_key_share_the_run(tmp_path):
    with served(tmp_path / "kb", command=SLOW, SLOW_SECONDS="0.7", QUORATE_HOST_CATALOG="", QUORATE_HOST_HEARTBEAT_SECONDS="0.1") as host:
        answers = []

        def ask():
            answers.append(host.client.post("/v1/ask", json={"question": "Shared?", "stream": True}, headers={"idempotency-key": "s"}).text)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = [events(text) for text in answers]
        assert all(one == told[0] for one in told) and told[0][-1][1] == "end"
        assert len(host.client.get("/v1/runs").json()["runs"]) == 1
        # Silence was broken.
        assert all(": ping" in text for text in answers)
        # A place in the midst of the pieces of a text.
        texts = [id for id, kind, _ in told[0] if kind == "text"]
        rest = events(host.client.post("/v1/ask", json={"question": "-"}, headers={"last-event-id": texts[1]}).text)
        assert [one[0] for one in rest] == [one[0] for one in told[0]][[one[0] for one in told[0]].index(texts[1]) + 1 :]


def test_a_client_that_reads_nothing_or_sends_nonsense_harms_nobody(tmp_path):
    with served(tmp_path / "kb", command=SLOW, SLOW_SECONDS="0.05", QUORATE_HOST_CATALOG="") as host:
        body = json.dumps({"question": "x", "stream": True, "detach": True}).encode()
        head = f"POST /v1/ask HTTP/1.1\r\nhost: x\r\nauthorization: {ACME['authorization']}\r\ncontent-type: application/json\r\n"
        sent = [
            head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body,
            head.encode() + b"content-length: 50\r\n\r\n{",
            head.encode() + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            head.encode() + b"last-event-id: " + b"9" * 300 + b"\r\ncontent-length: 2\r\n\r\n{}",
            b"GET /v1/runs/\x00 HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
        ]
        for data in sent:
            with socket.create_connection(("127.0.0.1", host.port), 5) as cut:
                cut.sendall(data)
        open_ones = [socket.create_connection(("127.0.0.1", host.port), 5) for _ in range(20)]
        for one in open_ones:
            one.sendall(sent[0])
        assert host.client.post("/v1/ask", json={"question": "Still there?"}).status_code in (200, 429)
        for one in open_ones:
            one.close()
        wait_until(lambda: "quorate_host_streams 0.0" in host.client.get("/metrics").text, 10)
        assert host.client.post("/v1/ask", json={"question": "Still there?"}).status_code == 200
        assert not any(line["level"] == "error" for line in host.lines()), [line for line in host.lines() if line["level"] == "error"]
