"""What do the tests of the host share?"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))

from quorate_host.app import create_app  # noqa: E402
from quorate_host.settings import Settings  # noqa: E402

ACME = {"x-tenant": "acme"}


@pytest.fixture
def app(tmp_path):
    return create_app(Settings(folder=tmp_path / "kb"))


@pytest.fixture
def client(app):
    with TestClient(app, headers=ACME, raise_server_exceptions=False) as client:
        yield client


@contextmanager
def served(folder: Path, role: str, **environment: str) -> Iterator[httpx.Client]:
    """A uvicorn process on a free port of the loopback, ended by its own id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "quorate_host.app:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    told = {"QUORATE_HOST_FOLDER": str(folder), "QUORATE_HOST_ROLE": role, **environment}
    child = subprocess.Popen(command, cwd=HERE, env={**os.environ, **told})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ACME, timeout=30) as client:
            wait_until(lambda: _answers(client, child))
            yield client
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) in (0, -signal.SIGTERM)


def wait_until(holds, seconds: float = 60.0):
    """Looks again and again until something holds, and returns it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError("what is waited for does not come about")
        time.sleep(0.02)
    return found


def _answers(client: httpx.Client, child: subprocess.Popen) -> bool:
    assert child.poll() is None, "the server has ended"
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
