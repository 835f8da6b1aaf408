#!/usr/bin/env python3
"""Is there one version, and what is new in it?

    python3 scripts/release.py check [TAG]    every place that names the version names that of Cargo.toml; the tag too
    python3 scripts/release.py set 0.2.0      writes another version to all of them (CHANGELOG.md is written by people)
    python3 scripts/release.py notes          what CHANGELOG.md says of the version

The version stands in Cargo.toml (`[workspace.package]`); the Python package takes it from there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NODE = ROOT / "bindings-node"
# 1.2.3, or 1.2.3-rc.1.
VERSION = re.compile(r"\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?")
WORKSPACE = re.compile(r'(\[workspace\.package\]\nversion = ")([^"]+)(")')


def stated() -> str:
    """The version in Cargo.toml."""
    found = WORKSPACE.search((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("Cargo.toml: [workspace.package] does not begin with the version")
    return found[2]


def manifests() -> list[Path]:
    """The files of npm that name the version."""
    return [NODE / "package.json", NODE / "package-lock.json", *sorted(NODE.glob("npm/*/package.json"))]


def named() -> dict[str, str]:
    """Each place with the version that it names."""
    places = {}
    for path in manifests():
        content = json.loads(path.read_text(encoding="utf-8"))
        places[str(path.relative_to(ROOT))] = content["version"]
        if path.name == "package-lock.json":
            places["bindings-node/package-lock.json, the package itself"] = content["packages"][""]["version"]
    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    for name, version in re.findall(r'\[\[package\]\]\nname = "(quorate[^"]*)"\nversion = "([^"]+)"', lock):
        places[f"Cargo.lock, {name}"] = version
    return places


def sections() -> dict[str, str]:
    """The sections of CHANGELOG.md by their versions."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    text = re.sub(r"^\[[^\]]+\]: .*\n", "", text, flags=re.MULTILINE)  # where the versions are
    parts = re.split(r"^## \[([^\]]+)\].*\n", text, flags=re.MULTILINE)
    return {version: body.strip() for version, body in zip(parts[1::2], parts[2::2])}


def check(tag: str | None) -> list[str]:
    """What does not agree."""
    version = stated()
    wrong = [f"{place} names {other}, Cargo.toml {version}" for place, other in named().items() if other != version]
    if VERSION.fullmatch(version) is None:
        wrong.append(f"{version} is no version such as 1.2.3 or 1.2.3-rc.1")
    if 'dynamic = ["version"]' not in (ROOT / "bindings-python" / "pyproject.toml").read_text(encoding="utf-8"):
        wrong.append("bindings-python/pyproject.toml has a version of its own")
    if not sections().get(version):
        wrong.append(f"CHANGELOG.md says nothing of {version}")
    if tag is not None and tag != f"v{version}":
        wrong.append(f"the tag is {tag}; v{version} is expected")
    return wrong


def write(version: str) -> None:
    """Writes another version to all places."""
    if VERSION.fullmatch(version) is None:
        raise SystemExit(f"{version} is no version such as 1.2.3 or 1.2.3-rc.1")
    old = re.escape(stated())
    path = ROOT / "Cargo.toml"
    path.write_text(WORKSPACE.sub(rf"\g<1>{version}\g<3>", path.read_text(encoding="utf-8")), encoding="utf-8")
    path = ROOT / "Cargo.lock"
    lock = re.sub(rf'(\nname = "quorate[^"]*"\nversion = "){old}"', rf'\g<1>{version}"', path.read_text(encoding="utf-8"))
    path.write_text(lock, encoding="utf-8")
    for path in manifests():
        content = json.loads(path.read_text(encoding="utf-8"))
        content["version"] = version
        if path.name == "package-lock.json":
            content["packages"][""]["version"] = version
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["check", *tag] if len(tag) < 2:
            if wrong := check(tag[0] if tag else None):
                raise SystemExit("\n".join(wrong))
            print(stated())
        case ["set", version]:
            write(version)
        case ["notes"]:
            print(sections()[stated()])
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
