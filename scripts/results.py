"""Writes what the comparisons printed into one page: python results.py FOLDER RESULTS.md

FOLDER holds NAME.txt of each comparison (what it printed, after its command) and NAME.rows, from which the one table is made.
"""

import argparse
import datetime
import json
import platform
from pathlib import Path

HEAD = """# Measured

Written by `make compare`, which runs quorate beside its peers on one machine; `ONLY="vectors consensus" make compare` runs those alone and keeps the
others. `add` of quorate returns when the write is on the disk and searchable in both legs; the calls of the peers are as they come.
The last column is how many times better quorate is than the best of the peers: below 1 it is worse.
"""


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{len(names)} cores, {names[0] if names else platform.processor()}, {platform.system()}"


def figure(value):
    if value is None:
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(lines):
    """One line a figure."""
    out = ["| what | unit | quorate | peers | times the best peer |", "|---|---|---|---|---|"]
    for line in lines:
        peers = {name: value for name, value in line["peers"].items() if value is not None}
        every = ", ".join(f"{name} {figure(value)}" for name, value in peers.items())
        best = (max if line["more_is_better"] else min)(peers.values(), default=None)
        ratio = ""
        if best:
            ratio = f"{line['own'] / best if line['more_is_better'] else best / line['own']:.2f}"
        out.append(f"| {line['what']} | {line['unit']} | {figure(line['own'])} | {every} | {ratio} |")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    given = parser.parse_args()
    runs = sorted(given.folder.glob("*.txt"), key=lambda path: path.stat().st_mtime)
    rows = [json.loads(line) for path in runs if path.with_suffix(".rows").exists() for line in path.with_suffix(".rows").read_text().splitlines()]
    parts = [HEAD, f"Machine: {machine()}.\n", table(rows) + "\n"]
    for path in runs:
        day = datetime.date.fromtimestamp(path.stat().st_mtime)
        lines = [line.rstrip() for line in path.read_text().splitlines() if line.strip() and not (line.startswith("{") and len(line) > 500)]
        parts.append(f"## {path.stem} ({day})\n\n```text\n" + "\n".join(lines) + "\n```\n")
    given.page.write_text("\n".join(parts))


main()
