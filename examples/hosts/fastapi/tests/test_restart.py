"""Is everything found again, however the process ended? It is started and used as the README says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest
from conftest import ACME, DOSE, EXPERT, FLOW, HERE, LABEL, SECRET, bearer, events, served, wait_until

SLOW = [sys.executable, "-m", "uvicorn", "--factory", "slow:app", "--no-access-log"]


def letters(tmp_path):
    """The setting of a folder with a workflow that waits for people."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "letters.yaml").write_text(FLOW)
    return {"QUORATE_HOST_WORKFLOWS": str(tmp_path / "flows")}


def test_it_is_started_used_killed_and_started_again(tmp_path):
    folder = tmp_path / "kb"
    # As the README says: a token by the command, and every call with it.
    assert "python -m quorate_host.token --tenant acme --user ann" in (HERE / "README.md").read_text()
    command = [sys.executable, "-m", "quorate_host.token", "--tenant", "acme", "--user", "ann"]
    environment = {**os.environ, "QUORATE_HOST_JWT_SECRET": SECRET}
    made = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    headers = {"authorization": f"Bearer {made}"}
    flows = letters(tmp_path)
    with served(folder, **flows) as host:
        call = httpx.Client(base_url=host.url, headers=headers, timeout=30)
        assert call.post("/v1/documents", json={"documents": [LABEL]}).status_code == 201
        call.put("/v1/agents/mine", json={"name": "Doses", "summary": "Answers questions about doses of metformin."})
        answer = call.post("/v1/ask", json={"question": DOSE, "agent": EXPERT}, headers={"idempotency-key": "k"}).json()
        panel = call.post("/v1/panels", json={"question": DOSE, "size": 2}).json()
        flow = call.post("/v1/workflows/letters/runs", json={}).json()["id"]
        review = wait_until(lambda: call.get("/v1/reviews", params={"run": flow}).json()["reviews"], 10)[0]
        host.kill()
    assert host.child.returncode == -signal.SIGKILL
    with served(folder, **flows) as host:
        call = httpx.Client(base_url=host.url, headers=headers, timeout=30)
        assert call.get("/v1/documents/label").json()["text"] == LABEL["text"]
        assert call.get("/v1/search", params={"q": DOSE}).json()["hits"][0]["doc_id"] == "label"
        assert call.get("/v1/agents/mine").json()["name"] == "Doses"
        assert call.get(f"/v1/runs/{answer['run_id']}").json()["answer"] == answer
        assert call.get(f"/v1/runs/{panel['run_id']}").json()["answer"]["ballots"] == panel["ballots"]
        again = call.post("/v1/ask", json={"question": DOSE, "agent": EXPERT}, headers={"idempotency-key": "k"}).json()
        assert again["run_id"] == answer["run_id"]
        waiting = call.get("/v1/reviews", params={"run": flow}).json()["reviews"]
        assert [one["id"] for one in waiting] == [review["id"]]
        editor = {"authorization": bearer(user="eve")["authorization"]}
        assert call.post(f"/v1/reviews/{review['id']}/decide", json={"option": review["options"][0]}, headers=editor).status_code == 204
        assert call.post(f"/v1/workflow-runs/{flow}/signal", json={"name": "post.done", "data": {"number": 1}}).status_code == 200
        wait_until(lambda: call.get(f"/v1/workflow-runs/{flow}").json()["status"] == "completed", 20)


@pytest.mark.parametrize("resume", ["1", "0"])
def test_runs_that_a_kill_cut_short_go_on(tmp_path, resume):
    folder, told = tmp_path / "kb", {"QUORATE_HOST_CATALOG": "", "SLOW_SECONDS": "1", "command": SLOW}
    with served(folder, **told) as host:
        begun = [host.client.post("/v1/ask", json={"question": f"Which {i}?", "detach": True}).json()["run_id"] for i in range(2)]
        host.kill()
    with served(folder, **{**told, "SLOW_SECONDS": "0.1"}, QUORATE_HOST_RESUME=resume) as host:
        if resume == "0":
            listed = host.client.get("/v1/runs", params={"status": "interrupted"}).json()["runs"]
            assert {one["run_id"] for one in listed} == set(begun)
            for run in begun:
                assert host.client.post(f"/v1/runs/{run}/resume", json={}).json()["status"] == "done"
        for run in begun:
            wait_until(lambda run=run: host.client.get(f"/v1/runs/{run}").json()["status"] == "done", 20)
            assert "Five mg" in host.client.get(f"/v1/runs/{run}").json()["answer"]["text"]


def test_the_end_closes_streams_well_and_leaves_what_goes_on(tmp_path):
    folder, told = tmp_path / "kb", {"QUORATE_HOST_CATALOG": "", "command": SLOW, **letters(tmp_path)}
    with served(folder, **told, SLOW_SECONDS="0.5") as host:
        run = host.client.post("/v1/ask", json={"question": "Soon?", "detach": True}).json()["run_id"]
        took = host.end()
        # It was waited for.
        assert took < 5
    with served(folder, **told, SLOW_SECONDS="6") as host:
        assert host.client.get(f"/v1/runs/{run}").json()["status"] == "done"
        flow = host.client.post("/v1/workflows/letters/runs", json={}).json()["id"]
        got = {}

        def read(name, method, path, **asked):
            with httpx.stream(method, host.url + path, headers=ACME, timeout=30, **asked) as answer:
                got[name] = (answer.status_code, answer.read().decode())

        asked = [
            ("ask", "POST", "/v1/ask", {"json": {"question": "Late?", "stream": True}}),
            ("json", "POST", "/v1/ask", {"json": {"question": "Later?"}}),
            ("flow", "GET", f"/v1/workflow-runs/{flow}/events", {}),
            ("chat", "POST", "/v1/chat/completions", {"json": {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Late?"}]}}),
        ]
        threads = [threading.Thread(target=read, args=one[:3], kwargs=one[3]) for one in asked]
        for thread in threads:
            thread.start()
        wait_until(lambda: re.search(r"quorate_host_runs_under_way 3\.0", host.client.get("/metrics").text), 10)
        host.child.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        took = host.end()
        for thread in threads:
            thread.join(10)
        # Grace is a second; the model takes six.
        assert took < 8, took
        for name in ("ask", "flow"):
            last = events(got[name][1])[-1]
            assert (got[name][0], last[1], last[2]["code"]) == (200, "shutdown", "closed"), got[name]
        assert (got["json"][0], json.loads(got["json"][1])["code"]) == (503, "closed")
        assert json.loads(got["chat"][1].strip().split("\n\n")[-1].removeprefix("data: "))["error"]["code"] == "closed"
    with served(folder, **told, SLOW_SECONDS="0") as host:
        place = events(got["ask"][1])[-2][0]
        run = place.split(".")[0]
        wait_until(lambda: host.client.get(f"/v1/runs/{run}").json()["status"] == "done", 20)
        rest = events(host.client.get(f"/v1/runs/{run}/events", headers={"accept": "text/event-stream", "last-event-id": place}).text)
        assert rest[-1][1] == "end" and "Five mg" in rest[-1][2]["result"]["text"]
        assert wait_until(lambda: host.client.get("/v1/reviews", params={"run": flow}).json()["reviews"], 10)


def test_a_process_that_is_told_wrong_things_says_which(tmp_path):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    ended = subprocess.run([sys.executable, "-m", "quorate_host"], cwd=HERE, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2 and "QUORATE_HOST_JWT_SECRET" in ended.stderr and "Traceback" not in ended.stderr
