"""Does the service keep to its own OpenAPI description? Schemathesis asks, with all its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ACME, served


def test_the_service_keeps_to_its_description(tmp_path):
    with served(tmp_path / "kb", "writer") as host:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{host.url}/openapi.json"]
        command += ["--checks", "all", "--max-examples", "5", "--seed", "1", "--generation-deterministic"]
        command += ["--phases", "examples,coverage,fuzzing", "--header", f"Authorization: {ACME['authorization']}"]
        # What a filter is only the library's parser can say; the format's name tells Schemathesis which texts to make.
        here = os.path.dirname(__file__)
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "formats", "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
        asked = subprocess.run(
            [*command, "--no-color"], cwd=tmp_path, capture_output=True, text=True, timeout=500, env=environment
        )
        assert asked.returncode == 0, asked.stdout[-8000:] + asked.stderr[-2000:]
        assert host.client.get("/health").status_code == 200
