"""Writes what the comparisons printed between the marks in README.md: python readme_numbers.py FOLDER README."""

import datetime
import platform
import sys
from pathlib import Path

START, END = "<!-- compare:start -->", "<!-- compare:end -->"


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{len(names)} cores, {names[0] if names else platform.processor()}, {platform.system()}"


def main():
    folder, readme = Path(sys.argv[1]), Path(sys.argv[2])
    parts = [f"Measured {datetime.date.today()} on {machine()}, all by `make compare` in one run.\n"]
    for path in sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime):
        lines = [line.rstrip() for line in path.read_text().splitlines() if line.strip() and not (line.startswith("{") and len(line) > 500)]
        parts.append(f"**{path.stem}**\n\n```text\n" + "\n".join(lines) + "\n```\n")
    text = readme.read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    readme.write_text(before + START + "\n" + "\n".join(parts) + END + after)


main()
