"""Is the event loop ever kept from its work?"""

from __future__ import annotations

import asyncio
import time
from collections import deque

STEP = 0.005
"""Seconds between two looks."""
REMEMBERED = 600.0
"""Seconds that delays are remembered."""


class LoopWatch:
    """Measures how late a timer of :data:`STEP` seconds fires; the lateness is what other callbacks waited too."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """Measures until it is cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(STEP)
            now = time.perf_counter()
            late = now - before - STEP
            # Only delays that no later one exceeds can be the greatest of a window that ends now.
            while self._late and self._late[-1][1] <= late:
                self._late.pop()
            self._late.append((now, late))
            while self._late[0][0] < now - REMEMBERED:
                self._late.popleft()

    def longest(self, window: float) -> float:
        """The longest delay of the last ``window`` seconds, in seconds."""
        since = time.perf_counter() - window
        return max((late for at, late in self._late if at >= since), default=0.0)
