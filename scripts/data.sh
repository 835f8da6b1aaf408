#!/usr/bin/env bash
# Unpacks the shipped collection (data/scifact.tar.gz) into the cache.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
here=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$cache/data/scifact/corpus.jsonl" ] && exit 0
mkdir -p "$cache"
fresh=$(mktemp -d "$cache/data.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
tar -xzf "$here/data/scifact.tar.gz" -C "$fresh"
mkdir -p "$cache/data"
mv "$fresh/scifact" "$cache/data/"
