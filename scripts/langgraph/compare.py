"""Does every test of LangGraph's that passes with its own checkpointer pass with quorate's?

Run: compare.py FOLDER EXPECTED, or compare.py OUTCOMES for the tests of one file that failed. The folder has ``theirs.json``, ``memory.json`` and ``disk.json``: the outcome of each test. A line of the
other file is the id of a test that may fail with quorate's, two spaces or more, and why.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEAST = 600
"""So many tests at least are run: with fewer the suite has changed, or was not collected."""


def reasons(file: Path) -> dict[str, str]:
    told = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            test, _, reason = line.partition("  ")
            if not reason.strip():
                raise SystemExit(f"{file}: no reason is given for {test}")
            told[test] = reason.strip()
    return told


def main(folder: Path, expected: dict[str, str]) -> int:
    theirs, memory, disk = (json.loads((folder / f"{kind}.json").read_text(encoding="utf-8")) for kind in ("theirs", "memory", "disk"))
    wrong = []
    if len(theirs) < LEAST:
        wrong.append(f"only {len(theirs)} tests were run with LangGraph's own; at least {LEAST} are expected")
    theirs_fail = {test for test, outcome in theirs.items() if outcome == "failed"}
    ours_fail = set()
    for kind, found in (("memory", memory), ("disk", disk)):
        wrong += [f"{kind}: not run: {test}" for test in theirs if test not in found]
        failed = {test for test, outcome in found.items() if outcome == "failed"}
        ours_fail |= failed
        wrong += [f"{kind}: {test}" for test in sorted(failed - theirs_fail - set(expected))]
    wrong += [f"expected to fail, and passes: {test}" for test in sorted(set(expected) - ours_fail)]
    passed = sum(outcome == "passed" for outcome in memory.values())
    print(f"langgraph: {len(theirs)} tests, {passed} pass on a store in memory; {len(theirs_fail)} fail with LangGraph's own; {len(expected)} more may fail")
    for one in wrong:
        print(f"langgraph: {one}", file=sys.stderr)
    return 1 if wrong else 0


def failed(file: Path) -> list[str]:
    return sorted(test for test, outcome in json.loads(file.read_text(encoding="utf-8")).items() if outcome == "failed")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        for one in failed(Path(sys.argv[1])):
            print(one)
        sys.exit()
    sys.exit(main(Path(sys.argv[1]), reasons(Path(sys.argv[2]))))
