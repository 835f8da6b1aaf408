"""Is everything there that a build needs? If so maturin builds; if not, this says what to install.

The hooks of PEP 517 and 660. Without it a missing ``protoc`` shows after minutes, deep in the output of some crate.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

Settings = Mapping[str, Any] | None

TOOLS = {
    "cargo": ("CARGO", "Rust 1.95 or newer: https://rustup.rs"),
    "protoc": ("PROTOC", "apt-get install protobuf-compiler (Debian, Ubuntu), dnf install protobuf-compiler (Fedora) or brew install protobuf (macOS)"),
}
"""Each tool with the variable that may name it, and where it comes from."""

COMPILERS = ("cc", "gcc", "clang", "cl")
"""One of these; ``CC`` may name another."""

SMALL = "--compression-level 9"
"""The wheel is a twentieth smaller than with maturin's own level."""


def missing() -> list[str]:
    """What to install, a line for each tool that is not there."""
    lines = []
    for tool, (variable, source) in TOOLS.items():
        if not _found(tool, variable):
            lines.append(f"'{tool}' is missing: {source}" + _hint(variable))
    if os.name != "nt" and not any(_found(name, "CC") for name in COMPILERS):
        lines.append("a C compiler is missing: apt-get install gcc (Debian, Ubuntu) or xcode-select --install (macOS)" + _hint("CC"))
    return lines


def _found(tool: str, variable: str) -> bool:
    return shutil.which(os.environ.get(variable) or tool) is not None


def _hint(variable: str) -> str:
    named = os.environ.get(variable)
    return f" ({variable} is '{named}', where there is none)" if named else ""


def _ready() -> Any:
    """maturin, when it can do its work."""
    lines = missing()
    if lines:
        raise SystemExit("\n".join(["quorate cannot be built here:", *(f"  {line}" for line in lines)]))
    import maturin

    return maturin


def _small(settings: Settings) -> dict[str, Any]:
    given = dict(settings or {})
    if not {"build-args", "maturin.build-args"} & given.keys() and not os.environ.get("MATURIN_PEP517_ARGS"):
        given["build-args"] = SMALL
    return given


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What pip installs before the build."""
    found: list[str] = _ready().get_requires_for_build_wheel(config_settings)
    return found


get_requires_for_build_editable = get_requires_for_build_sdist = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """The folder with the wheel's metadata."""
    folder: str = _ready().prepare_metadata_for_build_wheel(metadata_directory, config_settings)
    return folder


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """The wheel's name."""
    return _built(_ready().build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """The name of a wheel that refers to this folder."""
    return _built(_ready().build_editable, wheel_directory, config_settings, metadata_directory)


def _built(build: Callable[..., str], folder: str, settings: Settings, metadata: str | None) -> str:
    return build(folder, _small(settings), metadata)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """The name of the archive of sources."""
    name: str = _ready().build_sdist(sdist_directory, config_settings)
    return name
