#!/usr/bin/env bash
# Unpacks the shipped collections (data/*.tar.gz) into the cache.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$cache/data"
for packed in "$here"/data/*.tar.gz; do
  name=$(basename "$packed" .tar.gz)
  [ -d "$cache/data/$name" ] && continue
  fresh=$(mktemp -d "$cache/data.XXXXXX")
  tar -xzf "$packed" -C "$fresh"
  mv "$fresh/$name" "$cache/data/"
  rmdir "$fresh"
done
