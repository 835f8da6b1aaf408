"""Writes what the comparisons printed between the marks in README.md: python readme_numbers.py FOLDER README.

FOLDER holds one .txt of each comparison and `rows.jsonl`, from which the one table is made. --note TEXT is a sentence to
put before it.
"""

import argparse
import datetime
import json
import platform
from pathlib import Path

START, END = "<!-- compare:start -->", "<!-- compare:end -->"


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{len(names)} cores, {names[0] if names else platform.processor()}, {platform.system()}"


def figure(value):
    if value is None:
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(lines):
    """One line a figure; the last column is how many times better quorate is than the best of the peers."""
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
    parser.add_argument("readme", type=Path)
    parser.add_argument("--note", default="")
    given = parser.parse_args()
    rows = given.folder / "rows.jsonl"
    parts = [f"Measured {datetime.date.today()} on {machine()}, by `make compare`, which prints what follows.{' ' * bool(given.note)}{given.note}\n"]
    if rows.exists():
        parts.append(table([json.loads(line) for line in rows.read_text().splitlines()]) + "\n")
    for path in sorted(given.folder.glob("*.txt"), key=lambda path: path.stat().st_mtime):
        lines = [line.rstrip() for line in path.read_text().splitlines() if line.strip() and not (line.startswith("{") and len(line) > 500)]
        parts.append(f"**{path.stem}**\n\n```text\n" + "\n".join(lines) + "\n```\n")
    text = given.readme.read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    given.readme.write_text(before + START + "\n" + "\n".join(parts) + END + after)


main()
