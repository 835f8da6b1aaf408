"""Do the pages of the package and of the project show what works?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = [Path(__file__).parents[levels] / "README.md" for levels in (1, 2)]
BLOCKS = [block for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)]


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert "Metformin is contraindicated" in capsys.readouterr().out


def test_there_are_examples():
    assert len(BLOCKS) >= len(PAGES)
