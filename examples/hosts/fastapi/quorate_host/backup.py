"""How is everything copied while the service runs? ``python -m quorate_host.backup FOLDER``, in a process of its own."""

from __future__ import annotations

import argparse
import shutil
import sqlite3
from pathlib import Path

import quorate

from .settings import Settings


def copy(source: Path, to: Path) -> int:
    """Copies documents and the state of runs to a place where nothing is, and gives the number of tenants.

    Documents first: a run may name a document that is newer than the copy, and never one that is gone from it. Experts of tenants are in
    ``agents.redb``, which has one reader: it is copied where no writer has it open.
    """
    with quorate.open(source, read_only=True) as kb:
        kb.backup(to)
        tenants = len(kb.tenants())
    state = source / "state"
    if (state / "state.db").is_file():
        (to / "state").mkdir()
        # SQLite's own way of copying a database that others write; another process's locks are not touched.
        given, made = sqlite3.connect(f"{(state / 'state.db').as_uri()}?mode=ro", uri=True), sqlite3.connect(to / "state" / "state.db")
        try:
            given.backup(made)
        finally:
            made.close()
            given.close()
        # What the copy names was there before it.
        for name in ("payloads", "tenants"):
            if (state / name).is_dir():
                shutil.copytree(state / name, to / "state" / name)
    registry = source / "agents.redb"
    if registry.is_file():
        try:
            quorate.AgentRegistry(registry, catalog=None).close()
        except quorate.Locked:
            print(f"{registry} is in use and was left out: stop the writer to copy the experts of tenants too")
        else:
            shutil.copy2(registry, to / "agents.redb")
    return tenants


def main() -> None:
    """Copies."""
    parser = argparse.ArgumentParser(prog="python -m quorate_host.backup", description=__doc__)
    parser.add_argument("to", type=Path, help="a folder that is not there yet")
    given = parser.parse_args()
    print(f"{copy(Settings.from_environment().folder, given.to)} tenants")


if __name__ == "__main__":
    main()
