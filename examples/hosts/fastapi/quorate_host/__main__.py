"""How is the service started? ``python -m quorate_host --port 8000``"""

from __future__ import annotations

import argparse

import uvicorn

from .app import create_app
from .settings import Settings


def main() -> None:
    """Serves until a signal comes, and a little longer where something is under way."""
    parser = argparse.ArgumentParser(prog="python -m quorate_host", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    uvicorn.run(
        create_app(),
        host=given.host,
        port=given.port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Longer than the service itself takes, and never without end.
        timeout_graceful_shutdown=int(settings.grace_seconds) + 5,
    )


if __name__ == "__main__":
    main()
