#!/usr/bin/env bash
# Builds the Python package in place with cargo and runs its tests, its doctests and the type checkers.
# `scripts/python.sh build` only builds.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
target=${CARGO_TARGET_DIR:-$cache/target}
python=${QUORATE_PYTHON:-$cache/venv/bin/python}
cd "$here"

[ -x "$python" ] || scripts/setup.sh
CARGO_TARGET_DIR="$target" cargo build --release --locked -p quorate-python
case $(uname) in
  Darwin) library=lib_quorate.dylib ;;
  *) library=lib_quorate.so ;;
esac
# Into place by renaming: an interpreter that has the old one open keeps it.
cp "$target/release/$library" bindings-python/python/quorate/.new
mv bindings-python/python/quorate/.new bindings-python/python/quorate/_quorate.abi3.so
[ "${1:-}" = build ] && exit

cd bindings-python
export PYTHONPATH="$PWD/python"
export QUORATE_DATA=${QUORATE_DATA:-$cache/data}
# No framework's telemetry from a test run.
export HAYSTACK_TELEMETRY_ENABLED=false
"$python" -m pytest "$@"
(cd ../examples/hosts/fastapi && "$python" -m pytest "$@")
# The official client of the Model Context Protocol uses the server.
(cd .. && CARGO_TARGET_DIR="$target" cargo build --release --locked --workspace --example host)
(cd ../bindings/mcp-server/clients && CARGO_TARGET_DIR="$target" "$python" -m pytest -p no:cacheprovider "$@")
"$python" -m mypy
(cd ../examples/hosts/fastapi && MYPYPATH=../../../bindings-python/python "$python" -m mypy)
shopt -s nullglob
typed=(tests/typed_use.py ../examples/python/*.py ../examples/topics/*.py)
"$python" -m mypy --strict "${typed[@]}"
export PYRIGHT_PYTHON_CACHE_DIR="$cache/pyright" PYRIGHT_PYTHON_IGNORE_WARNINGS=1
"$python" -m pyright --pythonpath "$python" --level error "${typed[@]}" python/quorate
"$python" -m mypy.stubtest quorate._quorate --ignore-disjoint-bases --allowlist tests/stubtest.txt
