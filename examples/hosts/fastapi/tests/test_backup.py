"""Is a copy that was made beside a running service whole?"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from conftest import DOSE, EXPERT, FLOW, HERE, LABEL, SECRET, served, wait_until


def test_a_copy_of_a_running_service_has_everything_that_was_acknowledged(tmp_path):
    folder, copy = tmp_path / "kb", tmp_path / "copy"
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "letters.yaml").write_text(FLOW)
    told = {"QUORATE_HOST_WORKFLOWS": str(tmp_path / "flows")}
    with served(folder, **told) as host:
        host.client.post("/v1/documents", json={"documents": [LABEL]})
        answer = host.client.post("/v1/ask", json={"question": DOSE, "agent": EXPERT}).json()
        flow = host.client.post("/v1/workflows/letters/runs", json={}).json()["id"]
        wait_until(lambda: host.client.get("/v1/reviews").json()["reviews"], 10)
        over = threading.Event()

        def write():
            i = 0
            while not over.is_set():
                i += 1
                host.client.post("/v1/documents", json={"documents": [{**LABEL, "id": f"d{i}"}]})
                host.client.post("/v1/ask", json={"question": f"{DOSE} {i}", "agent": EXPERT})

        writing = threading.Thread(target=write)
        writing.start()
        try:
            environment = {**os.environ, "QUORATE_HOST_FOLDER": str(folder), "QUORATE_HOST_JWT_SECRET": SECRET}
            command = [sys.executable, "-m", "quorate_host.backup", str(copy)]
            made = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=60)
        finally:
            over.set()
            writing.join()
        assert made.returncode == 0 and "left out" in made.stdout, made.stderr
        # It goes on as if nothing had been.
        assert host.client.get(f"/v1/runs/{answer['run_id']}").json()["answer"] == answer
    with served(copy, **told) as host:
        assert host.client.get("/v1/documents/label").json()["text"] == LABEL["text"]
        assert host.client.get(f"/v1/runs/{answer['run_id']}").json()["answer"] == answer
        assert {one["status"] for one in host.client.get("/v1/runs").json()["runs"]} <= {"done", "running", "interrupted"}
        assert [one["run_id"] for one in host.client.get("/v1/reviews").json()["reviews"]] == [flow]
        host.end()
