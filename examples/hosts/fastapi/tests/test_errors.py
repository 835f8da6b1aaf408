"""Does each error have a status, and does nothing leak?"""

from __future__ import annotations

import json

import pytest
import quorate
from conftest import ACME, GLOBEX, LABEL, settings_of
from fastapi.testclient import TestClient
from quorate_host import errors
from quorate_host.app import create_app

NAMES = ["a/b", "../../etc/passwd", "%00", "a%00b", "%E2%80%AE", "%F0%9F%92%8A", "%ff%fe", "%0d%0aset-cookie: x", "x" * 201, "'; DROP TABLE runs", "..", "%2e%2e%2f", "{id}", "%25"]


def test_each_code_has_a_status():
    assert set(errors.STATUS) == set(quorate.ERROR_CODES)
    assert all(400 <= status < 600 for status in (*errors.STATUS.values(), *errors.OWN.values()))
    assert not set(errors.STATUS) & set(errors.OWN)


@pytest.mark.parametrize("code", quorate.ERROR_CODES)
def test_faults_of_the_service_are_not_told_in_its_words(code):
    status, message = errors.public(code, "/srv/secret/kb: patient Ann")
    assert status == errors.STATUS[code]
    assert ("/srv/secret" in message) == (status < 500)


def test_problems_have_the_form_of_the_standard(client):
    refused = client.get("/v1/documents/nobody", headers={"x-request-id": "r-1.2_3"})
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["type"] == "urn:quorate:problem:unknown_id" and problem["status"] == refused.status_code == 404
    assert (problem["title"], problem["code"], problem["request_id"]) == ("Not Found", "unknown_id", "r-1.2_3")
    assert "nobody" in problem["detail"] and refused.headers["x-request-id"] == "r-1.2_3"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", "a;b", "<script>"])
def test_an_id_that_is_not_well_formed_is_replaced(client, given):
    made = client.get("/health", headers={"x-request-id": given.encode()}).headers["x-request-id"]
    assert made != given and len(made) == 32


def test_what_is_not_there_is_said_so(client):
    assert (client.get("/v1/nothing").status_code, client.get("/search").status_code, client.post("/ingest").status_code) == (404, 404, 404)
    refused = client.patch("/v1/documents/a")
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
    assert set(refused.headers["allow"].split(", ")) >= {"GET", "DELETE"}


def test_hostile_ids_are_unknown_and_nothing_more(client):
    paths = ["/v1/documents/{}", "/v1/agents/{}", "/v1/runs/{}", "/v1/runs/{}/events", "/v1/workflows/{}", "/v1/workflow-runs/{}"]
    paths += ["/v1/workflow-runs/{}/steps", "/v1/workflow-runs/{}/events", "/v1/reviews/{}", "/v1/ingest/{}", "/v1/models/{}"]
    for path in paths:
        for name in NAMES:
            answer = client.get(path.format(name))
            assert answer.status_code in (404, 422), (path, name, answer.status_code, answer.text)
            assert "Traceback" not in answer.text and "site-packages" not in answer.text and "set-cookie" not in answer.headers
    for path in ("/v1/runs/{}/cancel", "/v1/workflow-runs/{}/pause", "/v1/reviews/{}/claim"):
        for name in NAMES:
            assert client.post(path.format(name)).status_code in (404, 405, 422)


def test_another_tenants_ids_are_unknown(filled):
    run = filled.post("/v1/ask", json={"question": "What is the starting dose of metformin?"}).json()["run_id"]
    flow = filled.post("/v1/workflows/example/runs", json={"input": {"name": "Ada", "formal": True}}).json()["id"]
    filled.put("/v1/agents/mine", json={"name": "Mine", "summary": "Mine alone."})
    job = filled.post("/v1/ingest", json={"documents": [{**LABEL, "id": "more"}]}).json()["id"]
    theirs = [f"/v1/runs/{run}", f"/v1/runs/{run}/events", f"/v1/workflow-runs/{flow}", f"/v1/workflow-runs/{flow}/steps"]
    theirs += ["/v1/documents/label", "/v1/agents/mine", f"/v1/ingest/{job}", "/v1/models/mine"]
    for path in theirs:
        assert filled.get(path).status_code == 200, path
        other, never = filled.get(path, headers=GLOBEX), filled.get(path.replace(run, "no").replace(flow, "no"), headers=GLOBEX)
        assert other.status_code == never.status_code == 404, path
    assert filled.get(f"/v1/workflow-runs/{flow}/events", headers=GLOBEX).status_code == 404
    acts = [f"/v1/runs/{run}/cancel", f"/v1/workflow-runs/{flow}/pause", f"/v1/workflow-runs/{flow}/resume"]
    assert [filled.post(path, headers=GLOBEX).status_code for path in acts] == [404] * 3
    acts = [(f"/v1/workflow-runs/{flow}/cancel", {}), (f"/v1/workflow-runs/{flow}/signal", {"name": "x"}), (f"/v1/runs/{run}/resume", {})]
    assert [filled.post(path, json=body, headers=GLOBEX).status_code for path, body in acts] == [404] * 3
    assert [filled.delete(path, headers=GLOBEX).status_code for path in (f"/v1/runs/{run}", "/v1/documents/label", "/v1/agents/mine")] == [404] * 3
    # An id of theirs as the place to go on from.
    answer = filled.post("/v1/ask", json={"question": "x"}, headers={**GLOBEX, "last-event-id": f"{run}.1.0"})
    assert answer.status_code == 404
    for path, name in (("/v1/runs", "runs"), ("/v1/workflow-runs", "runs"), ("/v1/reviews", "reviews")):
        assert filled.get(path, headers=GLOBEX).json()[name] == []
    assert filled.get(f"/v1/runs/{run}").json()["status"] in ("done", "abstained")


def test_bodies_that_are_no_good_are_refused(client):
    deep = "[" * 100_000 + "]" * 100_000
    nested = '{"question": "x", "output": ' + '{"a": ' * 400 + "1" + "}" * 400 + "}"
    bodies = [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', deep.encode(), b'{"question": NaN}', b'{"question": "\\ud800"}']
    bodies += [b'{"question": ""}', b'{"question": " "}', b'{"question": "x", "agent": "\\u0000"}', b'{"question": "x", "seed": 1e400}']
    bodies += [nested.encode(), b'{"question": "x", "tenant": "globex"}']
    for body in bodies:
        answer = client.post("/v1/ask", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404, 422), (body[:60], answer.status_code, answer.text[:300])
        assert "Traceback" not in answer.text and len(answer.content) < 3_000
    assert client.post("/v1/ask", content="question=x", headers={"content-type": "application/x-www-form-urlencoded"}).status_code == 422
    deeper = '{"input": ' + '{"a": ' * 900 + "1" + "}" * 900 + "}"
    for path in ("/v1/workflows/example/runs", "/v1/workflow-runs/none/signal"):
        answer = client.post(path, content=deeper, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404, 422), answer.text[:500]
    assert client.get("/v1/health/ready").status_code == 200


def test_bodies_that_are_too_large_are_refused_before_they_are_read(tmp_path):
    with TestClient(create_app(settings_of(tmp_path, body_bytes=10_000)), headers=ACME) as client:
        def pieces():
            for _ in range(20):
                yield b" " * 1_000

        for path in ("/v1/ask", "/v1/panels", "/v1/documents", "/v1/chat/completions", "/v1/workflows/example/runs"):
            sent = [client.post(path, content=b" " * 10_001), client.post(path, content=pieces()), client.post(path, content=b"", headers={"content-length": "9" * 30})]
            for answer in sent:
                told = answer.json()
                assert (answer.status_code, (told.get("error") or told)["code"]) == (413, "too_large"), path


def test_a_fault_shows_no_traceback(app, caplog):
    async def broken():
        raise RuntimeError("patient Ann in /srv/secret")

    app.add_api_route("/v1/broken", broken)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/v1/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "Ann" not in answer.text and "RuntimeError" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    from quorate_host.logs import JsonLines

    lines = [JsonLines().format(record) for record in caplog.records]
    failed = next(json.loads(line) for line in lines if '"failed"' in line)
    assert failed["error"] == "RuntimeError" and "Ann" not in json.dumps(failed)
