"""What does a docstring say of a function and of its parameters? In the forms of Google, of NumPy and of Sphinx."""

from __future__ import annotations

import re

_PARAMETERS = "Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters"
_GOOGLE = re.compile(rf"({_PARAMETERS}|Returns?|Raises|Yields?|Examples?|Notes?|Warnings?|Attributes|See Also|References):\s*$")
_GOOGLE_OWN = re.compile(rf"({_PARAMETERS}):\s*$")
_GOOGLE_ONE = re.compile(r"\*{0,2}(\w+)(?:\s*\(.*?\))?\s*:\s*(.*)$")
_NUMPY_OWN = re.compile(r"(Other )?Parameters\s*$")
_NUMPY_ONE = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)(?:\s*:.*)?$")
_SPHINX = re.compile(r":\w[^:]*:")
_SPHINX_ONE = re.compile(r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")


def summary_of(doc: str) -> str:
    """The first paragraph, without what it says of parameters."""
    lines = doc.split("\n\n")[0].split("\n")
    for i, line in enumerate(lines):
        if _GOOGLE.match(line) or _SPHINX.match(line) or _is_rule(lines, i):
            return "\n".join(lines[:i])
    return "\n".join(lines)


def parameters_of(doc: str) -> dict[str, str]:
    """What it says of each parameter."""
    lines, found = doc.split("\n"), dict[str, str]()
    for i, line in enumerate(lines):
        said, depth = line.strip(), _depth(line)
        if one := _SPHINX_ONE.match(said):
            found[one[1]] = _joined([one[2], *_below(lines[i + 1 :], depth)])
        elif _GOOGLE_OWN.match(said):
            _take(_section(lines[i + 1 :], depth), _GOOGLE_ONE, found)
        elif _NUMPY_OWN.match(said) and _is_rule(lines, i):
            _take(_numpy(lines[i + 2 :], depth), _NUMPY_ONE, found)
    return {name: words for name, words in found.items() if words}


def _take(section: list[str], one: re.Pattern[str], found: dict[str, str]) -> None:
    """The entries of a section: what stands deeper than the first line belongs to the entry above."""
    first = next((_depth(line) for line in section if line.strip()), 0)
    for i, line in enumerate(section):
        if line.strip() and _depth(line) == first and (entry := one.match(line.strip())):
            head = [entry[2]] if entry.re.groups > 1 else []
            for name in entry[1].split(","):
                found[name.strip().lstrip("*")] = _joined(head + _below(section[i + 1 :], first))


def _section(lines: list[str], depth: int) -> list[str]:
    """The lines that stand deeper than a head."""
    end = next((i for i, line in enumerate(lines) if line.strip() and _depth(line) <= depth), len(lines))
    return lines[:end]


def _numpy(lines: list[str], depth: int) -> list[str]:
    """The lines until the next head of NumPy's."""
    end = next((i for i in range(len(lines)) if _is_rule(lines, i)), len(lines))
    return lines[:end]


def _below(lines: list[str], depth: int) -> list[str]:
    """The lines that belong to an entry: those that follow, and stand deeper."""
    end = next((i for i, line in enumerate(lines) if _depth(line) <= depth or not line.strip()), len(lines))
    return lines[:end]


def _is_rule(lines: list[str], i: int) -> bool:
    """Whether a line is a head that is underlined."""
    return i + 1 < len(lines) and bool(lines[i].strip()) and bool(re.fullmatch(r"\s*-{3,}\s*", lines[i + 1]))


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines).strip()
