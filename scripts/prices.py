#!/usr/bin/env python3
"""Writes agents/models/src/prices.json, and what genai-prices itself computes with it, from the PyPI package genai-prices.

    pip install genai-prices==0.2.3 && python3 scripts/prices.py 2026-11-29

The package (MIT, Pydantic Services) collects the published prices of the services. Only text is priced here. Where a
price depends on the time of day, the highest holds, so that a budget is never passed. Nothing is fetched: a newer file
comes with a newer package.
"""

import datetime
import json
import pathlib
import re
import sys
from decimal import Decimal

from genai_prices import Usage, data, types
from importlib.metadata import version

WIRES = {"anthropic": ["anthropic"], "openai": ["openai", "deepseek", "mistral", "x-ai", "moonshotai"]}
FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_written",
    "cache_write_1h_mtok": "cache_written_1h",
}
day = datetime.date.fromisoformat(sys.argv[1])
root = pathlib.Path(__file__).resolve().parent.parent / "agents/models"


def patterns(match):
    """`=` equal, `^` beginning, `*` anywhere, `@` equal before a date."""
    match match:
        case types.ClauseOr():
            return [pattern for clause in match.or_ for pattern in patterns(clause)]
        case types.ClauseEquals():
            return ["=" + match.equals]
        case types.ClauseStartsWith():
            return ["^" + match.starts_with]
        case types.ClauseContains():
            return ["*" + match.contains]
        case types.ClauseRegex():
            dated = re.fullmatch(r"\^(.*?)(-|\[-@\])(\\d\{8\}|\\d\{4\}-\\d\{2\}-\\d\{2\})\$", match.regex)
            return ["@" + dated[1].replace("\\.", ".")]
    raise SystemExit(f"a new kind of match: {match}")


def number(price):
    return float(price)


def steps(price):
    """[[from how many input tokens on, dollars per million]]."""
    if isinstance(price, Decimal):
        return number(price)
    return [[0, number(price.base)], *([tier.start, number(tier.price)] for tier in price.tiers)]


def level(price):
    return price if isinstance(price, float) else max(step[1] for step in price)


def fields(prices):
    return {ours: steps(getattr(prices, theirs)) for theirs, ours in FIELDS.items() if getattr(prices, theirs) is not None}


def current(prices):
    if not isinstance(prices, list):
        return fields(prices)
    chosen, others = None, []
    for option in prices:
        constraint = option.constraint
        if constraint is None or isinstance(constraint, types.StartDateConstraint) and constraint.start_date <= day:
            chosen = fields(option.prices)
        elif isinstance(constraint, types.TimeOfDateConstraint):
            others.append(fields(option.prices))
    for other in others:
        for name, price in other.items():
            if name not in chosen or level(price) > level(chosen[name]):
                chosen[name] = price
    return chosen


wires, checks = {}, []
for wire, providers in WIRES.items():
    rows = wires[wire] = []
    for provider in data.providers:
        if provider.id not in providers:
            continue
        for model in provider.models:
            price = current(model.prices)
            if "input" not in price or "output" not in price:
                continue
            rows.append({"model": model.id, "match": patterns(model.match), **price})
            timed = isinstance(model.prices, list) and any(
                isinstance(option.constraint, types.TimeOfDateConstraint) for option in model.prices
            )
            if provider.id != providers[0] or timed:
                continue
            name = next((p[1:] for p in patterns(model.match) if p[0] == "="), None)
            found = name and provider.find_model(name)
            if not found or found.id != model.id:
                continue
            for read, cached, written, out in [(1000, 0, 0, 500), (150_000, 100_000, 0, 7), (300_000, 1000, 2000, 1)]:
                usage = Usage(input_tokens=read, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=out)
                at = datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc)
                try:
                    cost = found.calc_price(usage, provider, genai_request_timestamp=at).total_price
                except Exception:
                    continue
                checks.append([f"{wire}:{name}", read, cached, written, out, float(cost)])

names = {"date": str(day), "from": f"genai-prices {version('genai-prices')}", "unit": "US dollars per million tokens"}
lines = [f'{json.dumps(name)}: {json.dumps(value)}' for name, value in names.items()]
tables = [
    f"{json.dumps(wire)}: [\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
    for wire, rows in wires.items()
]
(root / "src/prices.json").write_text("{\n" + ",\n".join([*lines, *tables]) + "\n}\n")
(root / "tests/fixtures/prices.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in checks) + "\n]\n")
print(sum(map(len, wires.values())), "models,", len(checks), "checks")
