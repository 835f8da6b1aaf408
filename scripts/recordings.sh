#!/usr/bin/env bash
# Reads all recorded answers of language-model services in ../shared/data/llm, when they are there, as the tests read the few
# that are shipped: whole, split and cut. The expected answers are those of the official SDKs.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
here=$(cd "$(dirname "$0")/.." && pwd)
packed=${QUORATE_LLM_RECORDINGS:-$here/../shared/data/llm}
[ -d "$packed" ] || { echo "recordings.sh: '$packed' is not there; nothing is checked"; exit 0; }
cd "$here"
wanted=$here/requirements/recordings.txt
venv=$cache/venv-recordings
if ! cmp -s "$wanted" "$venv/.installed"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$venv/.installed"
fi
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for archive in "$packed"/*.tar.gz; do
  tar -xzf "$archive" -C "$unpacked"
done
"$venv/bin/python" scripts/recordings.py "$unpacked" "$cache/recordings.jsonl"
QUORATE_RECORDINGS=$cache/recordings.jsonl cargo test "$@" -p quorate-models --lib wire::tests -- --nocapture
