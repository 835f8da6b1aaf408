#!/usr/bin/env bash
# Installs what the build needs and is not there yet: protoc (lancedb's crates) and a virtual environment.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
here=$(cd "$(dirname "$0")/.." && pwd)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

for tool in cargo python3 node cc; do
  command -v "$tool" >/dev/null || { echo "setup: '$tool' is missing; install Rust, Python 3.11, Node 20 and gcc first" >&2; exit 1; }
done
if ! command -v protoc >/dev/null; then
  if command -v apt-get >/dev/null; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq protobuf-compiler >/dev/null
  else
    echo "setup: 'protoc' is missing; install the package protobuf-compiler (or protobuf) of your system" >&2
    exit 1
  fi
fi

mkdir -p "$cache"
wanted=$(cksum <"$here/requirements/test.txt")
if [ "$(cat "$cache/venv/wanted" 2>/dev/null)" != "$wanted" ]; then
  python3 -m venv --clear "$cache/venv"
  "$cache/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements/test.txt"
  echo "$wanted" >"$cache/venv/wanted"
fi
