"""How much memory does it take to add a folder of text files?

    python benches/ingest_memory.py [MEGABYTES]

Texts of a mebibyte each, of words drawn from 30,000 made-up ones (seed 1), are added by the built-in model into a new knowledge base. What is
printed at each tenth: seconds, and the peaks of resident and of anonymous memory (Linux) so far, in MiB. Mapped files count as resident.
"""

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import quorate


def write(folder, megabytes):
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(30_000)]
    for i in range(megabytes):
        parts, size = [], 0
        while size < 1 << 20:
            parts.append(" ".join(rng.choices(words, k=14)).capitalize() + (".\n\n" if rng.random() < 0.1 else ". "))
            size += len(parts[-1])
        (folder / f"{i:05}.txt").write_text("".join(parts))


def memory():
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return [int(fields[name].split()[0]) >> 10 for name in ("VmRSS", "RssAnon")]


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as place:
        files = Path(place) / "files"
        files.mkdir()
        write(files, megabytes)
        peak, start, ended = [0, 0], time.monotonic(), threading.Event()

        def watch():
            while not ended.wait(0.05):
                peak[:] = map(max, peak, memory())

        def progress(done, total):
            if done % max(1, total // 10) == 0:
                print(f"{done:6} MiB of text  {time.monotonic() - start:6.1f} s  resident {peak[0]:6}  anonymous {peak[1]:6}", flush=True)

        threading.Thread(target=watch, daemon=True).start()
        with quorate.open(Path(place) / "kb") as kb:
            report = kb.add_files(files, progress=progress)
            ended.set()
            print(f"{report.chunks:,} chunks; peak resident {peak[0]:,} MiB, anonymous {peak[1]:,} MiB")


main()
