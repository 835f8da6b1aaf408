"""When are schedules due? Every minute of the world is looked at, by the clocks of Python's zoneinfo.

    python agents/workflows/tests/data/due_times.py > agents/workflows/tests/data/due_times.json

Shares nothing with the library: the pattern is tested against what the clock of the zone shows at each minute. A pattern whose
minute or hour begins with `*` is due at each of them. Any other is due once for each time of the clock: the first time where the
clock shows it twice, and at the first minute after it where the clock leaves it out.
"""

import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

DAYS = {name: n for n, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])}
MINUTE = timedelta(minutes=1)

CASES = [
    # zone, first day, days
    ("America/New_York", "2026-03-06", 5),
    ("America/New_York", "2026-10-30", 5),
    ("Europe/Berlin", "2026-03-27", 5),
    ("Europe/Berlin", "2026-10-23", 5),
    ("Australia/Lord_Howe", "2026-04-03", 4),
    ("Australia/Lord_Howe", "2026-10-02", 4),
    ("America/Santiago", "2026-04-03", 4),
    ("America/Santiago", "2026-09-04", 4),
    ("Asia/Kolkata", "2026-02-26", 5),
    ("Pacific/Apia", "2011-12-28", 6),
    ("UTC", "2028-02-27", 5),
    ("Africa/Casablanca", "2025-02-21", 4),
]
PATTERNS = [
    "0 6 * * 1", "30 2 * * *", "0 2 * * *", "30 1 * * *", "0,30 1-3 * * *", "*/15 * * * *", "20 * * * *", "* 2 * * *", "15 */2 * * *",
    "0 0 * * *", "30 0 * * *", "45 23 28-31 * *", "0 12 13 * 5", "5 4 29 2 *", "0 3 * * SUN", "59 1 * 3,10,11 0-2", "10-40/10 1 * * *",
]


def field(text, low, high, names=None):
    found = set()
    for part in text.split(","):
        part, _, step = part.partition("/")
        first, _, last = part.partition("-")
        read = lambda word: (names or {}).get(word) if word in (names or {}) else int(word)
        if part == "*":
            start, end = low, high
        elif last:
            start, end = read(first), read(last)
        else:
            start = end = read(first)
        found.update(range(start, end + 1, int(step or 1)))
    return found


def matcher(pattern):
    minute, hour, day, month, week = pattern.split()
    minutes, hours, days = field(minute, 0, 59), field(hour, 0, 23), field(day, 1, 31)
    months, weekdays = field(month, 1, 12), {n % 7 for n in field(week, 0, 7, DAYS)}

    def match(clock):
        on_day, on_week = clock.day in days, clock.isoweekday() % 7 in weekdays
        dated = on_day or on_week if day != "*" and week != "*" else on_day and on_week
        return clock.minute in minutes and clock.hour in hours and clock.month in months and dated

    return match


def due(zone, pattern, start, days):
    match, flows = matcher(pattern), any(part.startswith("*") for part in pattern.split()[:2])
    found, shown, before = [], set(), None
    for n in range(days * 1440):
        at = start + n * MINUTE
        clock = at.astimezone(zone).replace(tzinfo=None)
        left_out = False
        if before is not None and not flows:
            # What the clock went over since the minute before.
            over = before + MINUTE
            while over < clock:
                left_out = left_out or match(over)
                over += MINUTE
        now = match(clock) and (flows or clock not in shown)
        shown.add(clock)
        before = clock
        if now or left_out:
            found.append(int(at.timestamp()))
    return found


def main():
    rows = []
    for name, first, days in CASES:
        zone = ZoneInfo(name)
        start = datetime.fromisoformat(first).replace(tzinfo=timezone.utc)
        for pattern in PATTERNS:
            begun = int(start.timestamp())
            rows.append({"zone": name, "cron": pattern, "from": begun, "to": begun + days * 86400, "due": due(zone, pattern, start, days)})
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")


main()
