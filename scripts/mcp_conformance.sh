#!/usr/bin/env bash
# The conformance tests of the Model Context Protocol, against quorate's server and quorate's client. What is expected to fail
# stands with its reason in bindings/mcp-server/clients/expected-failures.yml; what fails beside it, or passes though it stands
# there, is an error.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
clients=$here/bindings/mcp-server/clients
host=$CARGO_TARGET_DIR/release/examples/host
[ -x "$host" ] || (cd "$here" && cargo build --release --locked --workspace --example host)
[ -d "$clients/node_modules" ] || (cd "$clients" && npm ci --no-audit --no-fund --loglevel=error)

work=$(mktemp -d)
server=
finish() {
  exec 7>&-
  [ -z "$server" ] || wait "$server" || true
  rm -rf "$work"
}
trap finish EXIT

conformance() {
  node --import "$clients/globsync.mjs" "$clients/node_modules/@modelcontextprotocol/conformance/dist/index.js" "$@"
}

# start ARGUMENTS: a server whose address is written to $work/address; it ends when descriptor 7 is closed.
start() {
  rm -f "$work/input" "$work/address"
  mkfifo "$work/input"
  "$host" "$@" <"$work/input" >"$work/address" &
  server=$!
  exec 7>"$work/input"
  for _ in $(seq 200); do
    [ -s "$work/address" ] && return
    sleep 0.05
  done
  echo "mcp_conformance.sh: the server has not started" >&2
  exit 1
}

stop() {
  exec 7>&-
  wait "$server"
  server=
}

cd "$work"
baseline=$clients/expected-failures.yml
echo "mcp: what the tests ask of a server, on quorate's way over HTTP"
start everything 127.0.0.1:0
conformance server --url "http://$(cat "$work/address")/mcp" --suite all --expected-failures "$baseline" -o "$work/everything" >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
tail -n 40 "$work/log"
stop

echo "mcp: quorate's own server, as far as the tests need no tools of theirs"
start serve --http 127.0.0.1:0 --open
for scenario in server-initialize ping tools-list resources-list prompts-list server-sse-multiple-streams dns-rebinding-protection; do
  conformance server --url "http://$(cat "$work/address")/mcp" --scenario "$scenario" -o "$work/serve" >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
  echo "  $scenario: passed"
done
stop

echo "mcp: quorate's client"
conformance client --command "$host client" --suite all --timeout 20000 --expected-failures "$baseline" -o "$work/client" >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
tail -n 45 "$work/log"
