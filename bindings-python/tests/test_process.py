"""Does the package behave in a process: a cheap import, and Ctrl-C?"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest


def run(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **kwargs)


def test_import_is_light():
    heavy = run(
        "import sys, threading, quorate; print([m for m in ('numpy', 'pandas', 'pyarrow', 'asyncio') if m in sys.modules],"
        " threading.active_count())"
    )
    assert heavy.stdout.strip() == "[] 1", heavy.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_an_embedding():
    code = (
        "import quorate, sys\n"
        "e = quorate.Embedder('builtin')\n"
        "e.embed(['numpy is imported now'])\n"
        "texts = ['metformin in renal failure ' * 200] * 2000\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    while True: e.embed(texts)\n"
        "except KeyboardInterrupt: print('stopped', flush=True)\n"
        "print(e.embed(['still works']).shape[0])\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "ready"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    assert out.split() == ["stopped", "1"]
    assert child.returncode == 0
