"""What goes into the one table of all comparisons?

Each comparison calls `row` for each figure. When the environment names a file in QUORATE_COMPARE_ROWS, one JSON line is
added to it; `scripts/results.py` makes the table of benches/RESULTS.md from it. Otherwise nothing happens.
"""

import json
import os
import sys


def row(what, unit, own, peers, more_is_better=False):
    """`peers` maps names to figures; None stands for a peer that cannot do it."""
    file = os.environ.get("QUORATE_COMPARE_ROWS")
    if not file:
        return
    line = dict(what=what, unit=unit, own=own, peers=peers, more_is_better=more_is_better, script=os.path.basename(sys.argv[0]))
    with open(file, "a", encoding="utf-8") as lines:
        lines.write(json.dumps(line, default=float) + "\n")
