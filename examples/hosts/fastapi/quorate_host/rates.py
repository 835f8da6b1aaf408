"""How often may a tenant ask?"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from .errors import HostError

KEPT = 10_000
"""Tenants whose buckets are remembered; one that is forgotten is full again."""


class Rates:
    """A token bucket for each tenant: ``burst`` requests at once, ``rate`` a second in the long run. 0 is no limit."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, tenant: str) -> dict[str, str]:
        """Takes a token, and gives the headers that say what is left. Code: ``too_many_requests``."""
        if self._rate <= 0:
            return {}
        now = self._clock()
        left, since = self._buckets.pop(tenant, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._rate)
        refused = left < 1
        if not refused:
            left -= 1
        self._buckets[tenant] = (left, now)
        while len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        full = math.ceil((self._burst - left) / self._rate)
        headers = {
            "ratelimit": f'"tenant";r={int(left)};t={full}',
            "ratelimit-policy": f'"tenant";q={self._burst};w={max(1, math.ceil(self._burst / self._rate))}',
        }
        if refused:
            wait = max(1, math.ceil((1 - left) / self._rate))
            raise HostError("too_many_requests", f"this tenant asks too often; try again in {wait} s", {**headers, "retry-after": str(wait)})
        return headers
