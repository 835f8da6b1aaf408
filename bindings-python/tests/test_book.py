"""Does the book show what works, and does it name every code?

The blocks of a page that are marked ``python`` run in their order, in one namespace and a fresh folder, in which ``files/`` holds the
files of ``examples/files``. ``EXPRESSION  # -> VALUE`` says what an expression gives, which is compared. What only shows a form is
marked ``text``.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import quorate

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.S | re.M)
_CLAIM = re.compile(r"^(\s*)(\S.*?)\s+# -> (.+)$")
_LLM = os.environ.get("QUORATE_TEST_LLM", "")


def _blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of a page in a language, each with the line before its first."""
    text = page.read_text(encoding="utf-8")
    found = [(text.count("\n", 0, block.start()) + 1, block[2]) for block in _FENCE.finditer(text) if block[1] == language]
    # Each opening is counted, so that none is lost to a fence that is written otherwise.
    assert len(found) == len(re.findall(rf"^\s*```{language}\b", text, re.M)), f"{page.name}: a block is not closed, or indented"
    return found


PAGES = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
WITH_PYTHON = [name for name, path in PAGES.items() if _blocks(path, "python")]


def _claims(code: str, first: int) -> str:
    """The code with each claim as a comparison, on the same line."""
    out = []
    for number, line in enumerate(code.splitlines(), first + 1):
        claim = _CLAIM.match(line)
        if claim:
            indent, expression, value = claim.groups()
            ast.parse(expression, mode="eval")
            line = f"{indent}_claim({number}, {value!r}, ({expression}))"
        out.append(line)
    return "\n".join(out)


class _Claims:
    def __init__(self, page: str) -> None:
        self.page = page
        self.seen: set[int] = set()

    def __call__(self, line: int, value: str, found: Any) -> None:
        self.seen.add(line)
        assert repr(found) == value, f"docs/{self.page}:{line} says {value}; it gives {found!r}"


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "files", tmp_path / "files")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "none")
    if page == "models-local.md":
        if not os.path.exists(_LLM):
            pytest.skip("the weights of the local model are not here; 'make weights' puts them into the cache")
        os.symlink(_LLM, tmp_path / Path(_LLM).name)
    claims = _Claims(page)
    namespace: dict[str, Any] = {"__name__": "__book__", "_claim": claims}
    made: set[int] = set()
    for first, block in _blocks(PAGES[page], "python"):
        made |= {number for number, line in enumerate(block.splitlines(), first + 1) if _CLAIM.match(line)}
        # As a notebook: await stands by itself.
        source = "\n" * first + _claims(block, first)
        code = compile(source, f"docs/{page}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, namespace)
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    # A claim below an `except` is none that holds where nothing was raised.
    assert claims.seen == made, f"docs/{page}: lines {sorted(made - claims.seen)} were not reached"


def test_pages_are_not_empty_and_blocks_name_their_language():
    assert len(WITH_PYTHON) > 15
    for name, path in PAGES.items():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), f"{name} begins with no heading"
        fences = re.findall(r"^\s*```([^\n]*)$", text, re.M)
        assert all(fences[::2]), f"{name}: a block names no language"
        assert not any(fences[1::2]), f"{name}: the end of a block has a language"


def test_every_code_is_in_the_table():
    text = PAGES["errors.md"].read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `\w+` \| (.+?) \|", text, re.M))
    assert rows == quorate.ERROR_CODES
    families = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, re.M))
    for code, family in families.items():
        error = quorate._quorate.error(code, "x")
        assert type(error).__name__ == family, code


def test_every_public_name_has_a_place_in_the_api():
    text = "".join(path.read_text(encoding="utf-8") for name, path in PAGES.items() if name.startswith("api/"))
    shown = set(re.findall(r"^::: quorate\.(\w+)$", text, re.M))
    assert set(quorate.__all__) - shown == {"ERROR_CODES", "__version__", "consensus", "workflows"}
    shown = set(re.findall(r"^::: quorate\.workflows\.(\w+)$", text, re.M))
    assert set(quorate.workflows.__all__) - shown == {"END", "START"}


def test_every_method_of_consensus_is_explained():
    text = PAGES["consensus.md"].read_text(encoding="utf-8")
    functions = [name for name in quorate.consensus.__all__ if name.islower()]
    assert len(functions) > 40
    assert [name for name in functions if not re.search(rf"[`.]{name}[`(]", text)] == []
