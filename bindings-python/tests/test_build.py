"""Does a build without its tools say at once what to install?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[1] / "backend"
HOOKS = ["get_requires_for_build_wheel()", "build_wheel('.')", "build_editable('.')", "build_sdist('.')"]


def ask(hook, path, **environment):
    """Calls a hook as pip does, in a process whose tools are those of one folder."""
    told = {name: value for name, value in os.environ.items() if name not in ("CARGO", "PROTOC", "CC")}
    command = [sys.executable, "-c", f"import quorate_build; print(quorate_build.{hook})"]
    told |= {"PATH": str(path), "PYTHONPATH": str(BACKEND), **environment}
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=60)


@pytest.fixture
def tools(tmp_path):
    """A folder with every tool that a build needs."""
    for name in ("cargo", "protoc", "cc"):
        tool = tmp_path / name
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="tools have other names")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(("tool", "told"), [("cargo", "rustup.rs"), ("protoc", "protobuf-compiler"), ("cc", "C compiler")])
def test_a_missing_tool_is_named_with_where_it_comes_from(tools, hook, tool, told):
    (tools / tool).unlink()
    done = ask(hook, tools)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "quorate cannot be built here:" and len(lines) == 2 and told in lines[1]


@pytest.mark.skipif(os.name == "nt", reason="tools have other names")
def test_variables_name_tools_too(tools):
    (tools / "protoc").unlink()
    done = ask("missing()", tools, PROTOC=str(tools / "cc"))
    assert done.stdout == "[]\n", done.stderr
    done = ask("missing()", tools, PROTOC="/nowhere/protoc")
    assert "'protoc' is missing" in done.stdout and "PROTOC is '/nowhere/protoc'" in done.stdout
