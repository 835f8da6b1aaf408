#!/usr/bin/env bash
# Runs quorate beside the Node packages of zvec and LanceDB on the same vectors, and measures the way through Node.
# The package must be built (scripts/node.sh, or npm run build in bindings-node).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
cd "$here"
cargo build --release --locked -p quorate-node --features compare --example search_times
cd benches/compare/node
npm ci --no-audit --no-fund --loglevel=error
node models.js
exec node compare.js "${QUORATE_DATA:-$cache/data}" "$CARGO_TARGET_DIR/release/examples/search_times"
