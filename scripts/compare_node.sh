#!/usr/bin/env bash
# Measures the way through Node: `search` beside the packages of zvec and LanceDB on the same vectors, `models` beside
# OpenAI's, `runs` beside Vercel's AI SDK.
# The package must be built (scripts/node.sh, or npm run build in bindings-node).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
cd "$here"
[ "${1:-search}" != search ] || cargo build --release --locked -p quorate-node --features compare --example search_times
cd benches/compare/node
# Direct dependencies are pinned; those of other platforms, which a lock file of one npm lists, are refused by another.
npm install --no-package-lock --no-audit --no-fund --loglevel=error
[ "${1:-search}" = search ] || exec node "$1.js"
exec node compare.js "${QUORATE_DATA:-$cache/data}" "$CARGO_TARGET_DIR/release/examples/search_times"
