"""Does every call of the package answer hostile values with a code, soon, and within bounds of memory?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import surface

HERE = Path(__file__).parent


def test_the_table_of_calls_is_what_the_package_has():
    table = json.loads(surface.TABLE.read_text())["python"]
    assert table == surface.surface(), "run: python bindings-python/tests/surface.py"


def test_no_call_is_shaken_by_hostile_values(tmp_path):
    """A few values for each parameter; ``make torture`` tries all of them, with QUORATE_HOSTILE_CASES=0."""
    cases = os.environ.get("QUORATE_HOSTILE_CASES", "2")
    seed = os.environ.get("QUORATE_HOSTILE_SEED", "0")
    command = [sys.executable, "-W", "ignore", str(HERE / "hostile.py"), str(tmp_path), cases, seed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=7200 if cases == "0" else 600)
    lines = done.stdout.strip().splitlines()
    assert done.returncode == 0, f"it ended with {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    found = json.loads(lines[-1])
    assert found["tried"] > 500
    assert not found["wrong"], "\n".join(found["wrong"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_every_call_works_in_a_forked_child(tmp_path):
    command = [sys.executable, "-W", "ignore", str(HERE / "forked.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    lines = done.stdout.strip().splitlines()
    results = [line for line in lines if line.startswith("RESULT ")]
    assert done.returncode == 0 and results, f"{lines[-2:]} {done.stderr[-2000:]}"
    found = json.loads(results[0].removeprefix("RESULT "))
    assert found["tried"] > 80
    assert not found["wrong"], "\n".join(found["wrong"])
    assert lines[-1] == "CHILD ended with 0"
