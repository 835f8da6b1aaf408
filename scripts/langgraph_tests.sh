#!/usr/bin/env bash
# LangGraph's own tests, as they are in its release, with quorate's checkpointer in the place of its own in memory.
# They run three times: with LangGraph's own, on a store in memory, and on stores in folders. What fails with LangGraph's own is
# no fault of quorate's; what else may fail stands with its reason in scripts/langgraph/expected.txt. `make langgraph` builds the module first.
# `scripts/langgraph_tests.sh memory` runs one kind alone and says what failed; further words go to pytest.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
work=$cache/langgraph
venv=$cache/venv-langgraph
wanted=$here/requirements/langgraph.txt
release=langgraph-1.2.9
sum=385f87bc1802c35af7e0aa479278ecba8582d103515eb48256cb2ddcd42d0bd4

if ! cmp -s "$wanted" "$venv/.installed"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$venv/.installed"
fi

mkdir -p "$work"
archive=$work/$release.tar.gz
if ! echo "$sum  $archive" | sha256sum --check --status 2>/dev/null; then
  rm -f "$archive"
  "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary langgraph --dest "$work" "${release/-/==}"
  echo "$sum  $archive" | sha256sum --check --quiet
fi
# Anew each time: what is tested is what was released.
tests=$(mktemp -d)
trap 'rm -rf "$tests"' EXIT
tar -xzf "$archive" -C "$tests" --strip-components 1 "$release/tests" "$release/pyproject.toml"

export NO_DOCKER=false LANGCHAIN_TRACING_V2=false LANGSMITH_TRACING=false
export PYTHONPATH=$here/bindings-python/python:$here/scripts/langgraph PYTHONDONTWRITEBYTECODE=1

# Tests that need servers of other databases are left out.
select=(-q -k "memory and not redis and not postgres" -p quorate_saver -p no:cacheprovider --tb=short)

# of KIND [WORD...]: runs the tests; their outcomes are then in $work/KIND.json, whatever they are. Some of them look at how long things
# take, which other work on the machine may spoil: what failed is run once more by itself.
of() {
  local kind=$1 failed
  shift
  rm -f "$work/$kind.json"
  export QUORATE_LANGGRAPH_STORE=$kind QUORATE_LANGGRAPH_RESULTS=$work/$kind.json
  (cd "$tests" && "$venv/bin/python" -m pytest "${select[@]}" "$@" tests) >"$work/$kind.log" 2>&1 || true
  [ -s "$work/$kind.json" ] || { tail -40 "$work/$kind.log" >&2; exit 1; }
  mapfile -t failed < <("$venv/bin/python" "$here/scripts/langgraph/compare.py" "$work/$kind.json")
  if [ ${#failed[@]} -gt 0 ] && [ ${#failed[@]} -lt 50 ]; then
    (cd "$tests" && "$venv/bin/python" -m pytest "${select[@]}" "$@" "${failed[@]}") >"$work/$kind.again.log" 2>&1 || true
  fi
  echo "langgraph: $kind: $(tail -1 "$work/$kind.log" | tr -d =)"
}

if [ $# -gt 0 ]; then
  of "$@"
  "$venv/bin/python" "$here/scripts/langgraph/compare.py" "$work/$1.json"
  exit
fi
for kind in theirs memory disk; do of "$kind"; done
"$venv/bin/python" "$here/scripts/langgraph/compare.py" "$work" "$here/scripts/langgraph/expected.txt"
