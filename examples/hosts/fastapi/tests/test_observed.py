"""Can an operator see what happens, and does nothing that was asked or found show there?"""

from __future__ import annotations

import json

from conftest import ACME, DOSE, EXPERT, LABEL, SECRET, bearer, served, settings_of
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from quorate_host.app import create_app


def series(client):
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_numbers_count_and_are_bounded(filled):
    filled.post("/v1/ask", json={"question": DOSE, "agent": EXPERT})
    filled.post("/v1/panels", json={"question": DOSE, "size": 2})
    before = series(filled)
    assert before[("quorate_host_runs_total", (("kind", "ask"), ("status", "done")))] == 1
    assert before[("quorate_host_runs_total", (("kind", "panel"), ("status", "done")))] == 1
    assert before[("quorate_host_requests_total", (("method", "POST"), ("route", "/v1/ask"), ("status", "200")))] == 1
    for i in range(30):
        filled.get(f"/v1/documents/{i}")
        filled.get(f"/nothing/{i}")
        filled.request(f"VERB{i}", "/health")
        filled.get("/v1/search", params={"q": "x"}, headers=bearer(f"tenant{i}"))
    after = series(filled)
    assert after[("quorate_host_requests_total", (("method", "GET"), ("route", "/v1/documents/{id}"), ("status", "404")))] == 30
    assert len(after) - len(before) < 120
    text = filled.get("/metrics").text
    assert "acme" not in text and "tenant1" not in text and "metformin" not in text.lower()


def test_numbers_can_be_kept_for_who_has_their_token(tmp_path):
    with TestClient(create_app(settings_of(tmp_path, metrics_token="m" * 20))) as client:
        assert client.get("/metrics").status_code == client.get("/metrics", headers=ACME).status_code == 401
        assert client.get("/metrics", headers={"authorization": "Bearer " + "m" * 20}).status_code == 200


def test_a_run_lies_in_the_span_of_its_request(tmp_path):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(create_app(settings_of(tmp_path), tracer_provider=provider), headers=ACME) as client:
        client.post("/v1/documents", json={"documents": [LABEL]})
        client.post("/v1/ask", json={"question": DOSE, "agent": EXPERT}, headers={"traceparent": parent})
    spans = {span.name: span for span in exporter.get_finished_spans()}
    asked = spans["POST /v1/ask"]
    run = next(span for name, span in spans.items() if name.startswith("invoke_agent"))
    assert format(asked.context.trace_id, "032x") == parent.split("-")[1] and format(asked.parent.span_id, "016x") == parent.split("-")[2]
    assert run.context.trace_id == asked.context.trace_id
    assert asked.attributes["http.response.status_code"] == 200
    assert "metformin" not in str([dict(span.attributes) for span in exporter.get_finished_spans()]).lower()


def test_logs_are_lines_of_json_without_secrets_and_texts(tmp_path):
    with served(tmp_path / "kb") as host:
        host.client.post("/v1/documents", json={"documents": [LABEL]})
        host.client.post("/v1/ask", json={"question": DOSE, "agent": EXPERT}, headers={"x-request-id": "seen-1"})
        host.client.get("/v1/documents/patient-ann", headers={"x-request-id": "seen-2"})
        host.client.get("/v1/search", params={"q": "patient Ann"}, headers={"authorization": "Bearer secret.token.here"})
        host.end()
        lines = host.lines()
    mine = {line["request_id"]: line for line in lines if line.get("request_id", "").startswith("seen-")}
    assert (mine["seen-1"]["route"], mine["seen-1"]["status"], mine["seen-1"]["tenant"], mine["seen-1"]["user"]) == ("/v1/ask", 200, "acme", "ann")
    assert (mine["seen-2"]["route"], mine["seen-2"]["status"]) == ("/v1/documents/{id}", 404)
    text = json.dumps(lines).lower()
    for secret in ("metformin", "patient", "secret.token", SECRET, ACME["authorization"][7:40]):
        assert secret.lower() not in text
