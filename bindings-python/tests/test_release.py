"""Is there one version, in Cargo.toml, and do all others agree with it?"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import quorate

ROOT = Path(__file__).parents[2]
PLACES = ["Cargo.toml", "Cargo.lock", "CHANGELOG.md", "bindings-python/pyproject.toml", "bindings-node/package.json"]
PLACES += ["bindings-node/package-lock.json", "bindings-node/npm", "scripts/release.py"]


def release(root, *arguments):
    command = [sys.executable, str(root / "scripts" / "release.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_every_place_names_one_version():
    done = release(ROOT, "check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == quorate.__version__
    assert release(ROOT, "check", f"v{quorate.__version__}").returncode == 0
    assert "v9.9.9" in release(ROOT, "check", "v9.9.9").stderr


@pytest.fixture
def copy(tmp_path):
    for place in PLACES:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        how = shutil.copytree if (ROOT / place).is_dir() else shutil.copy
        how(ROOT / place, tmp_path / place)
    return tmp_path


def test_another_version_is_written_everywhere(copy):
    before = {path: path.read_text() for path in copy.rglob("*.json")}
    assert release(copy, "set", "9.9.9-rc.1").returncode == 0
    # People say what is new in it.
    assert release(copy, "check").stderr.strip() == "CHANGELOG.md says nothing of 9.9.9-rc.1"
    changes = copy / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("## [0.1.0]", "## [9.9.9-rc.1]\n\n* All.\n\n## [0.1.0]", 1))
    assert release(copy, "check", "v9.9.9-rc.1").returncode == 0
    assert release(copy, "notes").stdout.strip() == "* All."
    # And nothing else is changed.
    assert release(copy, "set", quorate.__version__).returncode == 0
    assert {path: path.read_text() for path in copy.rglob("*.json")} == before


def test_what_is_no_version_is_refused(copy):
    assert "is no version" in release(copy, "set", "1.2").stderr
