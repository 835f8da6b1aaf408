"""What does the book say of classes and functions whose text is written for `help()`?

An extension of griffe, which reads the package without importing it. Three things differ from Markdown:

* the documentation of native classes stands in the Rust sources of the binding, not in the stub;
* ``:meth:`KnowledgeBase.add` `` is a link;
* lines that begin with ``>>>`` are an example.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

_CLASS = re.compile(r'#\[pyclass\([^]]*?name = "(\w+)"[^]]*\)\]\s*(?:#\[[^]]*\]\s*)*pub(?:\([a-z]+\))? struct (\w+)')
_CLASS_DOC = re.compile(r'((?:^///[^\n]*\n)+)#\[pyclass\([^]]*?name = "(\w+)"', re.M)
_METHODS = re.compile(r"#\[pymethods\]\s*impl (\w+) \{\n(.*?)\n\}\n", re.S)
_METHOD = re.compile(r"((?:^    ///[^\n]*\n)+)((?:^    #\[.*?\]\n(?=    (?:#|fn|pub)))*)^    (?:pub )?fn (\w+)", re.M | re.S)
_RENAMED = re.compile(r'#\[pyo3\(name = "(\w+)"')
_ROLE = re.compile(r":(?:class|meth|func|attr|mod):`([^`]+)`")


def native(sources: Path) -> dict[tuple[str, str], str]:
    """(class, method) to its documentation, as the Rust sources have it; that of the class itself stands under an empty method."""
    found = {}

    def add(name: str, method: str, doc: str) -> None:
        lines = [line.strip().removeprefix("///").removeprefix(" ") for line in doc.splitlines()]
        found[name, method] = "\n".join(lines)

    for path in sorted(sources.rglob("*.rs")):
        text = path.read_text(encoding="utf-8")
        names = {struct: name for name, struct in _CLASS.findall(text)}
        for doc, name in _CLASS_DOC.findall(text):
            add(name, "", doc)
        for struct, body in _METHODS.findall(text):
            for doc, attributes, method in _METHOD.findall(body):
                renamed = _RENAMED.search(attributes)
                add(names.get(struct, struct), renamed.group(1) if renamed else method, doc)
    return found


def markdown(text: str, link: Any) -> str:
    """A docstring as Markdown. ``link``: a name to what stands for it."""
    out = []
    example = False
    for line in _ROLE.sub(lambda role: link(role.group(1)), text).splitlines():
        if line.startswith(">>>") and not example:
            out += ["", "```pycon"]
            example = True
        elif not line.strip() and example:
            out.append("```")
            example = False
        out.append(line)
    return "\n".join([*out, "```"] if example else out)


class Docstrings(griffe.Extension):
    """See the module."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrites the docstrings of a package that has been read."""
        package = pkg.filepath if isinstance(pkg.filepath, Path) else pkg.filepath[0]
        sources = package.parents[2] / "src"
        texts = native(sources)
        if not texts:
            raise RuntimeError(f"no documentation of native classes was found in {sources}")
        known: dict[str, str] = {}
        _walk(pkg, lambda one: known.setdefault(one.path, one.path))

        def rewrite(one: griffe.Object) -> None:
            if isinstance(one, griffe.Class) and one.module.name == "_quorate":
                if (one.name, "") in texts:
                    one.docstring = griffe.Docstring(texts[one.name, ""], parent=one)
                _constructor(one)
            if one.docstring is None and one.parent is not None and (one.parent.name, one.name) in texts:
                one.docstring = griffe.Docstring(texts[one.parent.name, one.name], parent=one)
            if one.docstring is not None:
                one.docstring.value = markdown(one.docstring.value, lambda name: _link(name, one, pkg, known))

        _walk(pkg, rewrite)


def _constructor(one: griffe.Class) -> None:
    """Has ``__new__`` shown as the signature of the class. A hit is made by searches alone."""
    made = one.members.get("__new__")
    if isinstance(made, griffe.Function) and one.name != "Hit":
        made.name, made.returns = "__init__", None
        one.set_member("__init__", made)


def _walk(one: Any, visit: Any) -> None:
    visit(one)
    for member in one.members.values():
        if not member.is_alias:
            _walk(member, visit)


def _link(name: str, place: griffe.Object, pkg: griffe.Module, known: dict[str, str]) -> str:
    """A link to what a name means at a place; the name alone where that has no page."""
    short = name.lstrip("~").removeprefix("quorate.")
    scopes = []
    scope: griffe.Object | None = place
    while scope is not None:
        scopes.append(scope.path)
        scope = scope.parent
    for scope_path in [*scopes, pkg.path, f"{pkg.path}.consensus"]:
        path = known.get(f"{scope_path}.{short}")
        if path is None:
            continue
        parts = path.split(".")
        if not any(part.startswith("_") for part in parts):
            return f"[`{short}`][{path}]"
        # From a private module: as the package exports it.
        short_path = ".".join(parts[2:])
        if parts[1].startswith("_") and (member := _exported(short_path, pkg)):
            return f"[`{short}`][{member}]"
    member = _exported(short, pkg)
    return f"[`{short}`][{member}]" if member else f"`{short}`"


def _exported(name: str, pkg: griffe.Module) -> str | None:
    """The public path of a name that the package takes from one of its modules."""
    first = name.split(".")[0]
    return f"{pkg.path}.{name}" if first in pkg.members else None
