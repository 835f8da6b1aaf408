"""Do a writer and a reader work beside each other, each a process of its own?"""

from __future__ import annotations

from conftest import GLOBEX, events, served, wait_until

DOCUMENT = {"id": "a", "text": "Metformin lowers glucose.", "metadata": {"year": 2024}}


def test_a_reader_follows_the_writer(tmp_path):
    folder = tmp_path / "kb"
    with served(folder, "writer") as writing:
        writer = writing.client
        assert writer.post("/v1/documents", json={"documents": [DOCUMENT]}).status_code == 201
        with served(folder, "reader", QUORATE_HOST_REFRESH="0.05") as reading:
            reader = reading.client
            assert reader.get("/health").json()["role"] == "reader"
            assert reader.get("/v1/search", params={"q": "glucose"}).json()["hits"][0]["doc_id"] == "a"
            # What is written, changed and deleted later shows too.
            writer.post("/v1/documents", json={"documents": [{**DOCUMENT, "id": "b", "text": "Insulin lowers glucose."}]})
            wait_until(lambda: reader.get("/v1/documents/b").status_code == 200)
            writer.delete("/v1/documents/a")
            wait_until(lambda: reader.get("/v1/documents/a").status_code == 404)
            assert [h["doc_id"] for h in reader.get("/v1/search", params={"q": "glucose"}).json()["hits"]] == ["b"]
            # Experts of the reader read what is new; who waits for the writer's answer there sees its run here.
            asked = {"question": "What does insulin lower?", "agent": "clinical-pharmacy"}
            answer = reader.post("/v1/ask", json=asked).json()
            assert answer["citations"][0]["doc_id"] == "b", answer
            assert writer.get(f"/v1/runs/{answer['run_id']}").json()["answer"] == answer
            # What a reader starts is worked on by the writer.
            flow = reader.post("/v1/workflows/regulatory.fda_510k_submission/runs", json={"offline": True}).json()["id"]
            wait_until(lambda: reader.get(f"/v1/workflow-runs/{flow}").json()["status"] == "completed")
            assert events(reader.get(f"/v1/workflow-runs/{flow}/events").text)[-1][1] == "ended"
            # Also of a tenant that the writer has not met.
            flow = reader.post("/v1/workflows/regulatory.fda_510k_submission/runs", json={"offline": True}, headers=GLOBEX).json()["id"]
            wait_until(lambda: reader.get(f"/v1/workflow-runs/{flow}", headers=GLOBEX).json()["status"] == "completed")
            refused = reader.put("/v1/agents/mine", json={"name": "Mine", "summary": "Mine."})
            assert (refused.status_code, refused.json()["code"]) == (403, "read_only")
            # Only the writer writes, and a second writer is refused.
            refused = reader.post("/v1/documents", json={"documents": [{**DOCUMENT, "id": "c"}]})
            assert (refused.status_code, refused.json()["code"]) == (403, "read_only")
        writer.post("/v1/documents", json={"documents": [{**DOCUMENT, "id": "d"}]})
    with served(folder, "reader") as reading:
        assert reading.client.get("/v1/documents/d").status_code == 200
