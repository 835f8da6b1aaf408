"""Do the one-topic examples say what is written beside them, also when they run again? Rust's and Node's say the same."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TOPICS = Path(__file__).parents[2] / "examples" / "topics"
NAMES = sorted(path.stem for path in TOPICS.glob("*.txt"))


def test_there_are_topics():
    assert len(NAMES) > 20 and NAMES == sorted(path.stem for path in TOPICS.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_topic(name, capsys):
    for _ in range(2):
        runpy.run_path(str(TOPICS / f"{name}.py"), run_name="__main__")
        assert capsys.readouterr().out.rstrip() == (TOPICS / f"{name}.txt").read_text(encoding="utf-8").rstrip()
