"""Does the service keep to its own OpenAPI description? Schemathesis asks, with all its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ACME, served


FULL = os.environ.get("QUORATE_HOST_SCHEMA") == "full"
"""Whether each boundary of each field is tried too, which takes a minute."""

# Where more is asked of a body than a schema can say (a scale that goes up, the schema of a workflow's own input), bodies that
# fit the schema may be refused.
NOT_IN_SCHEMAS = "\n".join(
    f"""[[operations]]
include-name = "{name}"
checks.positive_data_acceptance.enabled = false
"""
    for name in ("POST /v1/chat/completions", "POST /v1/panels", "POST /v1/workflows/{id}/runs", "PUT /v1/agents/{id}", "POST /v1/ask")
)


def test_the_service_keeps_to_its_description(tmp_path):
    with served(tmp_path / "kb", "writer") as host:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{host.url}/openapi.json"]
        # All checks: naming them here would set what is said below aside.
        command += ["--max-examples", "6", "--seed", "1", "--generation-deterministic"]
        command += ["--phases", "coverage,fuzzing" if FULL else "fuzzing", "--header", f"Authorization: {ACME['authorization']}"]
        (tmp_path / "schemathesis.toml").write_text(NOT_IN_SCHEMAS)
        # What a filter is only the library's parser can say; the format's name tells Schemathesis which texts to make.
        here = os.path.dirname(__file__)
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "formats", "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
        asked = subprocess.run(
            [*command, "--no-color"], cwd=tmp_path, capture_output=True, text=True, timeout=500, env=environment
        )
        assert asked.returncode == 0, asked.stdout[-8000:] + asked.stderr[-2000:]
        assert host.client.get("/health").status_code == 200
