"""Is ``python -m quorate`` the command line, in an empty folder and without a network?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import quorate


def command(*args: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "quorate", *args]


def environment() -> dict[str, str]:
    package = str(Path(quorate.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": package}


def run(folder: Path, *args: str | bytes, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*args), cwd=folder, env=environment(), input=given, capture_output=True, timeout=60)


def document(folder: Path, *args: str) -> Any:
    said = run(folder, *args, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_add_and_ask_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Metformin\n\nThe highest dose of metformin is 2550 mg a day.\n")
    assert document(tmp_path, "add", "docs")["added"] == 1
    answer = document(tmp_path, "ask", "What is the highest dose of metformin?")
    assert "2550 mg" in answer["text"] and answer["citations"][0]["doc_id"] == "docs/a.md"

    # The names are those of the Python API, of the same folder.
    found = document(tmp_path, "search", "metformin")["hits"][0]
    kb = quorate.open(str(tmp_path / ".quorate"), read_only=True)
    hit = kb.search("metformin")[0].to_dict()
    assert found == json.loads(json.dumps(hit))
    assert document(tmp_path, "doctor")["stats"] == json.loads(json.dumps(dict(kb.stats())))
    context = document(tmp_path, "context", "metformin")
    assert context["text"] == kb.context("metformin").text
    assert context["citations"][0].keys() >= {"marker", "doc_id", "chunk_id", "start", "end", "title", "score"}
    kb.close()
    store = quorate.StateStore(str(tmp_path / ".quorate" / "runs"))
    runtime = quorate.Runtime(model=quorate.ScriptedModel(["x"]), store=store)
    assert [run.run_id for run in runtime.runs()] == [answer["run_id"]]
    store.close()


def test_matches_have_the_members_of_python(tmp_path: Path) -> None:
    question = "Is a 510(k) needed for our ECG app?"
    found = document(tmp_path, "match", question, "-k", "2")["matches"]
    registry = quorate.AgentRegistry()
    expected = [json.loads(one.to_json()) for one in registry.match(question, k=2)]
    assert [one["agent"]["id"] for one in found] == [one["agent"]["id"] for one in expected]
    assert found[0].keys() == expected[0].keys()


def test_exit_codes_and_errors(tmp_path: Path) -> None:
    said = run(tmp_path, "search", "x", "--json")
    assert said.returncode == 3
    assert json.loads(said.stderr) == {"type": "error", "code": "not_found", "message": json.loads(said.stderr)["message"]}
    assert run(tmp_path, "serach").returncode == 2
    help = run(tmp_path, "--help")
    assert help.returncode == 0 and b"Usage: quorate" in help.stdout
    assert run(tmp_path, "--version").stdout.decode().strip() == f"quorate {quorate.__version__}"
    if os.name == "posix":
        assert run(tmp_path, b"search", b"\xff\xfe").returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("add", "-"), cwd=tmp_path, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(2.0)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - begun < 10
    assert process.stdin is not None and process.stderr is not None
    process.stdin.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not (tmp_path / ".quorate").exists()
