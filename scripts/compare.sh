#!/usr/bin/env bash
# Runs quorate beside its peers and writes what they print into benches/RESULTS.md, with date, machine and command.
# ONLY="NAME NAME" in the environment: those comparisons alone; of the others what they printed last is kept.
set -euo pipefail
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
wanted=$(cksum <requirements/compare.txt)
if [ "$(cat "$cache/venv-compare/wanted" 2>/dev/null)" != "$wanted" ]; then
  python3 -m venv --clear "$cache/venv-compare"
  # llama.cpp is built here, for this processor, as its users would.
  CMAKE_ARGS=-DGGML_NATIVE=ON "$cache/venv-compare/bin/pip" install -q --disable-pip-version-check -r requirements/compare.txt
  echo "$wanted" >"$cache/venv-compare/wanted"
fi
python=$cache/venv-compare/bin/python
cargo build --release --locked --workspace --examples
scripts/python.sh build
out=$cache/compare
mkdir -p "$out"

# run NAME COMMAND...: keeps what the command prints; a failed comparison fails the whole.
run() {
  local name=$1
  shift
  if [ -n "${ONLY:-}" ] && [[ " $ONLY " != *" $name "* ]]; then return; fi
  echo "== $name"
  export QUORATE_COMPARE_ROWS=$out/$name.rows.new
  : >"$QUORATE_COMPARE_ROWS"
  { echo "\$ ${*/#"$python"/python}"; "$@"; } 2>"$out/$name.err" | sed "s#$cache#CACHE#g" | tee "$out/$name.new"
  mv "$QUORATE_COMPARE_ROWS" "$out/$name.rows"
  mv "$out/$name.new" "$out/$name.txt"
}

model=$QUORATE_TEST_MODEL
bin=$CARGO_TARGET_DIR/release/examples
glosses=$QUORATE_DATA/wordnet/glosses.tsv
vectors=$cache/wordnet_minilm.f32
if [ ! -e "$vectors" ]; then
  "$bin/engine_bench" vectors "$glosses" "$model" 100500 "$vectors.new"
  mv "$vectors.new" "$vectors"
fi
export PYTHONPATH=$here/bindings-python/python

run embed "$python" benches/compare/embed.py --model "$model" --scifact "$QUORATE_DATA/scifact" --quality --exactness --memory
run builtin "$python" benches/compare/builtin.py --model "$model"
run engine "$bin/engine_bench" quality "$QUORATE_DATA/scifact" test builtin
run engine-minilm "$bin/engine_bench" quality "$QUORATE_DATA/scifact" test "$model"
run vectors "$python" benches/compare/vectors.py "$bin/vector_scan"
for rows in 40000 100000; do
  run "ann-$rows" "$python" benches/compare/ann.py "$bin/ann_bench" "$vectors" "$rows" "hnswlib,usearch f32,usearch int8,zvec"
  run "speed-$rows" "$bin/engine_bench" speed "$glosses" "$model" "$rows" 500 "$vectors"
  run "peers-$rows" "$python" benches/compare/engine.py --glosses "$glosses" --vectors "$vectors" --model "$model" --rows "$rows" --scifact "$QUORATE_DATA/scifact"
done
rm -rf "$out/routing"
run routing "$python" benches/compare/routing.py --model "$model" --data "$QUORATE_DATA/routing" --work "$out/routing" --binary "$bin/routing_eval"
run consensus "$python" benches/compare/consensus.py
run overhead "$python" benches/compare/overhead.py --scifact "$QUORATE_DATA/scifact"
run models "$python" benches/compare/models.py
run local "$python" benches/compare/local.py "$QUORATE_TEST_LLM" "$bin/local_speed"
run models-node scripts/compare_node.sh models
wanted=$(cksum <requirements/agents.txt)
if [ "$(cat "$cache/venv-agents/wanted" 2>/dev/null)" != "$wanted" ]; then
  python3 -m venv --clear "$cache/venv-agents"
  "$cache/venv-agents/bin/pip" install -q --disable-pip-version-check -r requirements/agents.txt
  echo "$wanted" >"$cache/venv-agents/wanted"
fi
run runs "$cache/venv-agents/bin/python" benches/compare/runs.py
run runs-rust "$bin/run_speed"
run runs-node scripts/compare_node.sh runs
run panels "$cache/venv-agents/bin/python" benches/compare/panels.py
run panels-rust "$bin/panel_speed"
run node scripts/compare_node.sh search
"$python" scripts/results.py "$out" benches/RESULTS.md
