"""Do the examples and notebooks of the project run?"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
DATA = Path(os.environ.get("QUORATE_DATA") or Path.home() / ".cache" / "quorate" / "data")
sys.path.insert(0, str(EXAMPLES / "notebooks"))

import make  # noqa: E402


@pytest.fixture(autouse=True)
def data(monkeypatch):
    monkeypatch.setenv("QUORATE_DATA", str(DATA))
    # A kernel finds the package where this process has it.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


def test_quickstart(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["quickstart.py", str(tmp_path / "kb")])
    for _ in range(2):  # on a folder that is there already, too
        runpy.run_path(str(EXAMPLES / "python" / "quickstart.py"), run_name="__main__")
        told = capsys.readouterr().out.splitlines()
        assert [line.split()[1] for line in told] == ["label", "sky"]


def test_demo(capsys):
    runpy.run_path(str(EXAMPLES / "python" / "demo.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "5183 abstracts" in told
    scores = {line.split()[0]: float(line.split("ndcg@10 ")[1].split()[0]) for line in told.splitlines() if "ndcg@10" in line}
    assert set(scores) == {"hybrid", "dense", "lexical"} and scores["hybrid"] > 0.65 and min(scores.values()) > 0.55
    expert, panel, workflow = (part.splitlines()[1:] for part in told.split("\nAsk an expert")[1].split("\n\n"))
    assert "endocrinology, done" in expert[1] and any(line.startswith("  [1] Metformin") for line in expert)
    assert "abstained" in expert[-1]
    assert "decided: 6.0" in told and any("toxicologist, 2: Lactic acidosis" in line for line in panel)
    assert "'by': 'ann', 'decision': 'yes it does'" in workflow[1] and workflow[-1].split()[1] == "ended"


def test_experts(capsys):
    runpy.run_path(str(EXAMPLES / "python" / "experts.py"), run_name="__main__")
    told = capsys.readouterr().out
    panel = told.split("The panel\n")[1].split("  relevance")[0].splitlines()
    assert len(panel) == 7 and any("FDA 510(k) strategist" in member for member in panel[:2])
    assert "The decision: " in told and "The minority, " in told and "0 experts" in told


def test_each_example_of_rust_has_its_twin():
    # benches/compare/overhead.py is the twin of the measurement.
    rust = {path.stem for path in (EXAMPLES / "rust").glob("*.rs")} - {"overhead"}
    assert rust <= {path.stem for path in (EXAMPLES / "python").glob("*.py")}


@pytest.mark.parametrize("name", make.NOTEBOOKS)
def test_notebooks_run_and_are_those_that_are_committed(name):
    fresh = make.run(make.notebook(make.NOTEBOOKS[name]))
    kept = nbformat.read(EXAMPLES / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(kept)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in fresh.cells]
    for old, new in zip(kept.cells, fresh.cells, strict=True):
        if new.cell_type == "code":
            assert [shape(one) for one in old.outputs] == [shape(one) for one in new.outputs]
    assert any("image/png" in output.get("data", {}) for cell in kept.cells for output in cell.get("outputs", []))


def shape(output):
    """What kind of answer a cell gave: numbers may differ in their last places between machines."""
    return output.output_type, sorted(output.get("data", {}))
