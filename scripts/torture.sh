#!/usr/bin/env bash
# The tests that a commit runs briefly, at length: writers killed, readers during writes, single additions, and hostile
# inputs to every parser and reader. Each number can be set from outside.
set -euo pipefail
cd "$(dirname "$0")/.."
export QUORATE_TORTURE_ROUNDS="${QUORATE_TORTURE_ROUNDS:-1000}"
export QUORATE_TORTURE_SECONDS="${QUORATE_TORTURE_SECONDS:-60}"
export QUORATE_TORTURE_ADDS="${QUORATE_TORTURE_ADDS:-10000}"
export QUORATE_TORTURE_MODELS="${QUORATE_TORTURE_MODELS:-1000}"
export QUORATE_TORTURE_POWER="${QUORATE_TORTURE_POWER:-10000}"
export QUORATE_TORTURE_REFRESHES="${QUORATE_TORTURE_REFRESHES:-10000}"
export QUORATE_TORTURE_INPUTS="${QUORATE_TORTURE_INPUTS:-1000000}"
flags="${CARGO_FLAGS:---release --locked}"
# One after the other: each measures or kills, and should have the machine to itself.
for test in kill::nothing_acknowledged_is_lost kill_files:: model:: power_cut:: concurrent:: versions:: adds:: \
    durability::a_reader_that_follows durability::any_mix; do
    cargo test $flags --workspace --test engine "$test" -- --nocapture
done
# Failures of the disk, which hold for the whole process.
cargo test $flags --workspace --features quorate-rag/failpoints --test engine failpoints:: -- --test-threads 1
# Workflows: killed after each entry of their journals, and in random worlds.
cargo test $flags --workspace --test flow crashes:: -- --nocapture
cargo test $flags --workspace --lib promises_hold_in_any_world -- --nocapture
# Laws on inputs that are new each time.
for _ in $(seq "${QUORATE_TORTURE_LAWS:-50}"); do
    cargo test $flags --workspace --test laws --quiet
done
# A process for each target, so that one that fails or is slow holds up none of the others.
for target in $(cargo test $flags --workspace --lib -- --list fuzz_ | sed -n 's/: test$//p'); do
    cargo test $flags --workspace --lib "$target" -- --exact || failed="${failed:-} $target"
done
# Every public call of both packages with every hostile value.
export QUORATE_HOSTILE_CASES="${QUORATE_HOSTILE_CASES:-0}"
scripts/python.sh -q tests/test_hostile.py || failed="${failed:-} python"
scripts/node.sh hostile || failed="${failed:-} node"
[ -z "${failed:-}" ] || { echo "torture: failed:$failed" >&2; exit 1; }
