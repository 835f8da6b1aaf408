"""How is the command line run: ``python -m quorate``, and the script ``quorate`` that an installation makes?"""

from __future__ import annotations

import sys

from . import _quorate

_INTERRUPTED = 130


def main() -> int:
    """Run the command that the process was started with; its exit code (see the page "Command line" of the book)."""
    try:
        return _quorate.command_line(sys.argv[1:])
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
