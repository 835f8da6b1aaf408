"""Are workflows started, watched, decided and told something, by those who may?"""

from __future__ import annotations

import pytest
from conftest import FLOW, GLOBEX, bearer, events, settings_of, wait_until
from fastapi.testclient import TestClient
from quorate_host.app import create_app

@pytest.fixture
def client(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "letters.yaml").write_text(FLOW)
    with TestClient(create_app(settings_of(tmp_path, workflows=tmp_path / "flows")), headers=bearer()) as client:
        yield client


EDITOR = bearer(user="eve", permissions=("read", "review"), roles=("editor",))
OTHER = bearer(user="otto", permissions=("read", "review"), roles=("lawyer",))


def started(client, **headers):
    answer = client.post("/v1/workflows/letters/runs", json={}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def the_review(client, run, who=EDITOR):
    def found():
        return [one for one in client.get("/v1/reviews", params={"run": run}, headers=who).json()["reviews"]]

    return wait_until(found, 10)[0]


def status(client, run):
    return client.get(f"/v1/workflow-runs/{run}").json()["status"]


def test_those_that_ship_and_those_of_a_folder_are_listed(client):
    listed = {one["id"]: one for one in client.get("/v1/workflows").json()["workflows"]}
    assert {"letters", "example", "regulatory.fda_510k_submission"} <= set(listed)
    whole = client.get("/v1/workflows/letters").json()
    assert whole["versions"] == ["1.0.0"] and whole["mermaid"].startswith("flowchart")
    assert client.get("/v1/workflows/nothing").json()["code"] == "unknown_id"
    assert client.post("/v1/workflows/nothing/runs", json={}).json()["code"] == "unknown_id"


def test_a_workflow_that_ships_runs_offline_to_its_end(client):
    run = client.post("/v1/workflows/regulatory.fda_510k_submission/runs", json={"offline": True}).json()["id"]
    told = events(client.get(f"/v1/workflow-runs/{run}/events").text)
    assert told[-1][1] == "ended" and [id for id, _, _ in told] == [f"{run}.{i}.0" for i in range(1, len(told) + 1)]
    rest = events(client.get(f"/v1/workflow-runs/{run}/events", headers={"last-event-id": told[4][0]}).text)
    assert rest == told[5:]
    over = client.get(f"/v1/workflow-runs/{run}").json()
    assert over["status"] == "completed" and over["ending"]["output"]["k_number"] == "K240001"
    steps = client.get(f"/v1/workflow-runs/{run}/steps").json()["steps"]
    assert {"submit", "sign_off"} <= {step["id"] for step in steps if step["status"] == "completed"}


def test_a_workflow_is_no_run_of_an_expert(client):
    run = started(client)
    assert client.get("/v1/runs").json()["runs"] == []
    acts = [("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/resume"), ("DELETE", "")]
    for method, path in acts:
        body = {"json": {}} if path == "/resume" else {}
        assert client.request(method, f"/v1/runs/{run}{path}", **body).status_code == 404
    assert status(client, run) in ("queued", "running", "waiting")


def test_who_decides_is_who_asks(client):
    run = started(client)
    review = the_review(client, run)
    assert (review["role"], review["options"], review["claimed_by"]) == ("editor", ["approve", "revise"], None)
    path = f"/v1/reviews/{review['id']}"
    # Another role, and nobody's business.
    assert client.get("/v1/reviews", headers=OTHER).json() == {"reviews": []}
    for answer in (client.get(path, headers=OTHER), client.post(f"{path}/decide", json={"option": "approve"}, headers=OTHER)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    # Another tenant does not know it, also with every permission.
    assert client.get(path, headers=GLOBEX).status_code == 404
    assert client.post(f"{path}/decide", json={"option": "approve"}, headers=GLOBEX).status_code == 404
    # Nobody is named in the body.
    named = client.post(f"{path}/decide", json={"option": "approve", "by": "eve"}, headers=EDITOR)
    assert (named.status_code, named.json()["code"]) == (422, "invalid_request")
    # Who started it may not decide it, whatever permissions there are.
    mine = client.post(f"{path}/decide", json={"option": "approve"})
    assert (mine.status_code, mine.json()["code"]) == (422, "invalid_argument")
    assert client.post(f"{path}/decide", json={"option": "burn"}, headers=EDITOR).status_code == 422
    assert client.post(f"{path}/claim", headers=EDITOR).json()["claimed_by"] == "eve"
    second = bearer(user="emil", permissions=("review",), roles=("editor",))
    taken = client.post(f"{path}/decide", json={"option": "approve"}, headers=second)
    assert (taken.status_code, taken.json()["code"]) == (409, "run_conflict")
    assert client.post(f"{path}/delegate", json={"user": "emil"}, headers=EDITOR).json()["claimed_by"] == "emil"
    assert client.post(f"{path}/decide", json={"option": "approve", "comment": "Good."}, headers=second).status_code == 204
    assert client.post(f"{path}/decide", json={"option": "approve"}, headers=second).status_code == 404
    assert client.post(f"/v1/workflow-runs/{run}/signal", json={"name": "post.done", "data": {"number": 7}, "id": "s"}).status_code == 200
    told = events(client.get(f"/v1/workflow-runs/{run}/events").text)
    decided = next(data for _, _, data in told if "emil" in str(data) and "approve" in str(data))
    assert "eve" not in str(decided["data"].get("by", "")) and told[-1][1] == "ended"
    assert client.get(f"/v1/workflow-runs/{run}").json()["ending"]["output"] == {"said": 7}


def test_runs_are_paused_resumed_skipped_retried_and_cancelled(client):
    key = {"idempotency-key": "once"}
    run = started(client, **key)
    assert started(client, **key) == run != started(client, **{**key, **bearer(user="eve")})
    the_review(client, run)
    assert client.post(f"/v1/workflow-runs/{run}/pause").json()["status"] == "paused"
    assert client.post(f"/v1/workflow-runs/{run}/resume").status_code == 200
    refused = client.post(f"/v1/workflow-runs/{run}/retry", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "run_conflict")
    assert client.post(f"/v1/workflow-runs/{run}/skip", json={"step": "nothing"}).status_code == 404
    # A review could be skipped, too: it takes more than being allowed to write.
    few = bearer(permissions=("read", "write"))
    assert client.post(f"/v1/workflow-runs/{run}/skip", json={"step": "check"}, headers=few).status_code == 403
    assert client.post(f"/v1/workflow-runs/{run}/skip", json={"step": "check"}).status_code == 200
    assert client.post(f"/v1/workflow-runs/{run}/cancel", json={"reason": "no more"}).status_code == 200
    wait_until(lambda: status(client, run) == "cancelled", 10)
    assert client.post(f"/v1/workflow-runs/{run}/cancel", json={}).status_code == 409
    listed = client.get("/v1/workflow-runs", params={"limit": 1}).json()
    assert len(listed["runs"]) == 1 and listed["more"]
    more = client.get("/v1/workflow-runs", params={"before": listed["runs"][0]["id"]}).json()
    assert [one["id"] for one in more["runs"]] == [run] and not more["more"]
    assert [one["id"] for one in client.get("/v1/workflow-runs", params={"status": "cancelled"}).json()["runs"]] == [run]
