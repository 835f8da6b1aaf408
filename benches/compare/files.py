"""How much of what other readers find in files does quorate find?

    cargo build --release -p quorate-rag --example load_files
    python benches/compare/files.py target/release/examples/load_files ../shared/data/files [--bad]

The folder holds pdf/, docx/ and html/, each with reference/NAME.txt: the text that pdftotext, pandoc and lxml give. Share:
of the pairs of neighbouring words (runs of letters and digits, NFKC, lower case) of the reference, each counted as often
as it stands there, the part that the text holds too; where the reference has one word alone, whether the text holds it.
Files whose reference has no word are read, and count for seconds and failures only. --bad lists what is below .8. Only
the standard library is needed.
"""

import argparse
import collections
import json
import re
import resource
import subprocess
import unicodedata
from pathlib import Path


def words(text):
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())


def share(text, reference):
    """None when the reference has no word."""
    ours, theirs = words(text), words(reference)
    if len(theirs) < 2:
        return float(theirs[0] in ours) if theirs else None
    ours = collections.Counter(zip(ours, ours[1:]))
    theirs = collections.Counter(zip(theirs, theirs[1:]))
    return (ours & theirs).total() / theirs.total()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bad", action="store_true")
    arguments = parser.parse_args()
    print(f"{'kind':6}{'files':>7}{'with words':>12}{'no text':>9}{'mean share':>12}{'seconds':>9}{'slowest':>9}{'peak MB':>9}")
    for folder in sorted(arguments.folder.iterdir()):
        references = folder / "reference"
        if not references.is_dir():
            continue
        files = sorted(path for path in folder.iterdir() if path.is_file())
        found, crashed = {}, []
        # One process for all, and a new one after a file that ends it.
        left = files
        while left:
            run = subprocess.run([arguments.binary, *left], capture_output=True, check=False)
            lines = [json.loads(line) for line in run.stdout.decode().splitlines()]
            found.update((Path(line["path"]).name, line) for line in lines)
            if len(lines) < len(left):
                crashed.append(left[len(lines)].name)
            left = left[len(lines) + 1 :]
        shares, empty, seconds = {}, [], [line["seconds"] for line in found.values()]
        for path in files:
            reference = (references / f"{path.name}.txt").read_text("utf-8", "replace")
            text = found.get(path.name, {}).get("text", "")
            one = share(text, reference)
            if one is not None:
                shares[path.name] = one
                empty += [path.name] if not text.strip() else []
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        mean = sum(shares.values()) / max(len(shares), 1)
        print(
            f"{folder.name:6}{len(files):7}{len(shares):12}{len(empty):9}{mean:12.3f}{sum(seconds):9.1f}"
            f"{max(seconds, default=0):9.2f}{peak:9.0f}"
        )
        for name in crashed:
            print(f"  {name}: ended the process")
        if arguments.bad:
            for name, one in sorted(shares.items(), key=lambda pair: pair[1]):
                if one < 0.8:
                    print(f"  {one:.2f} {name} {found.get(name, {}).get('error', '')[:120]}")


if __name__ == "__main__":
    main()
