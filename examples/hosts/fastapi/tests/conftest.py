"""What do the tests of the host share?"""

from __future__ import annotations

import json
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

from quorate_host import token  # noqa: E402
from quorate_host.app import create_app  # noqa: E402
from quorate_host.settings import Settings  # noqa: E402

SECRET = "a secret of the tests, and of nothing else"
LABEL = {
    "id": "label",
    "text": "Metformin lowers blood glucose. The usual starting dose of metformin is 500 mg twice daily. Store it in a dry place.",
    "title": "Metformin label",
    "metadata": {"year": 2024, "kind": "label", "tags": ["fda"]},
}
FLOW = """
apiVersion: quorate/v1
kind: Workflow
id: letters
version: 1.0.0
steps:
  check: {human_review: {role: editor, title: "May it go out?", options: [approve, revise], forbid: [starter]}}
  posted: {needs: [check], wait: {signal: post.done}}
output: {said: "${steps.posted.output.number}"}
"""
DOSE = "What is the starting dose of metformin?"
EXPERT = "clinical-pharmacy"


def bearer(tenant="acme", user="ann", permissions=("read", "write", "review", "admin"), roles=(), **more):
    """The header of a user."""
    made = token.make(Settings(folder=Path("unused"), jwt_secret=SECRET), tenant, user, permissions, roles, **more)
    return {"authorization": f"Bearer {made}"}


ACME = bearer()
GLOBEX = bearer("globex", "bob")


def settings_of(tmp_path, **more):
    """What a process of the tests is told; nobody is limited unless a test says so."""
    return Settings(**{"folder": tmp_path / "kb", "jwt_secret": SECRET, "rate": 0, "grace_seconds": 1.0, **more})


@pytest.fixture
def app(tmp_path):
    return create_app(settings_of(tmp_path))


@pytest.fixture
def client(app):
    with TestClient(app, headers=ACME, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def filled(client):
    answer = client.post("/v1/documents", json={"documents": [LABEL]})
    assert (answer.status_code, answer.json()["added"]) == (201, 1), answer.text
    return client


class Process:
    """A process of the host on a free port of the loopback."""

    def __init__(self, folder: Path, role: str = "writer", command: list[str] | None = None, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*(command or [sys.executable, "-m", "quorate_host"]), "--port", str(self.port)]
        told = {
            "QUORATE_HOST_FOLDER": str(folder),
            "QUORATE_HOST_ROLE": role,
            "QUORATE_HOST_JWT_SECRET": SECRET,
            "QUORATE_HOST_RATE": "0",
            "QUORATE_HOST_GRACE_SECONDS": "1",
            **environment,
        }
        python_path = os.pathsep.join([str(HERE), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        # What it logs is kept in a file: a pipe that nobody reads would stop it.
        self.log = folder.parent / f"log-{self.port}.txt"
        self._file = self.log.open("w")
        environment = {**os.environ, "PYTHONPATH": python_path, **told}
        self.child = subprocess.Popen(command, cwd=HERE, env=environment, stderr=self._file)
        self.client = httpx.Client(base_url=self.url, headers=ACME, timeout=30)
        try:
            wait_until(self._answers)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        assert self.child.poll() is None, self.log.read_text()[-4000:]
        try:
            return self.client.get("/v1/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def lines(self) -> list[dict]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self, seconds: float = 30) -> float:
        """Ends it as an operator does, and says how long that took."""
        start = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        try:
            assert self.child.wait(seconds) in (0, -signal.SIGTERM), self.log.read_text()[-4000:]
        finally:
            self.kill()
        return time.monotonic() - start

    def kill(self) -> None:
        """Ends it as a power cut does."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(30)
        self.client.close()
        self._file.close()


@contextmanager
def served(folder: Path, role: str = "writer", command: list[str] | None = None, **environment: str) -> Iterator[Process]:
    """A process that is ended afterwards, by its own id."""
    process = Process(folder, role, command, **environment)
    try:
        yield process
        if process.child.poll() is None:
            process.end()
    finally:
        process.kill()


def wait_until(holds, seconds: float = 60.0):
    """Looks again and again until something holds, and returns it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError("what is waited for does not come about")
        time.sleep(0.02)
    return found


def events(text):
    """The events of a stream: id, name, data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields.get("id"), fields.get("event"), json.loads(fields["data"])))
    return found
