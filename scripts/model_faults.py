#!/usr/bin/env python3
"""Lets the PyPI package llmock (a server with faults) judge how a model of quorate-models bears them.

    pip install llmock==0.2.2 && cargo build --release -p quorate-models --example ask
    python3 scripts/model_faults.py TARGET/release/examples/ask
"""

import os
import subprocess
import sys

from llmock import scenarios as s
from llmock.testing import LLMockServer
from llmock.verdict import judge

ask = sys.argv[1]
faults = {
    "two refusals": s.Fail(503, times=2),
    "rate limit": s.Fail(429, retry_after=1, times=2),
    "a wrong request": s.Fail(400),
    "no such model": s.Fail(404),
    "broken connection": s.StreamFault("disconnect", after_chunks=2),
    "stream that ends early": s.StreamFault("truncate", after_chunks=2),
    "malformed event": s.StreamFault("malformed", after_chunks=2),
}
failed = 0
for wire in ("openai", "anthropic"):
    for name, fault in faults.items():
        for how in ("complete", "stream"):
            with LLMockServer() as server:
                server.state.scenarios.add(fault)
                environment = {**os.environ, "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
                model = {"openai": "openai:gpt-4o-mini", "anthropic": "anthropic:claude-haiku-4-5"}[wire]
                command = [ask, model, server.base_url(wire), how, f"{name}: which dose?"]
                said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120).stdout
                verdict = judge(server.state.journal.records(wait=5.0))
                found = ", ".join(f"{f.severity} {f.code}" for f in verdict.findings) or "passes"
                print(f"{wire:10} {how:9} {name:24} {verdict.attempts} attempts: {found}")
                if not verdict.passed:
                    failed += 1
                    print(said)
print(failed, "failed")
sys.exit(failed > 0)
