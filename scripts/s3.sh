#!/usr/bin/env bash
# The tests that need features: object stores, against moto's S3 server; disks that fail; the second dense backend.
# `aws` changes the dependencies below the store, so this has a build folder of its own; the first build takes as long
# as that of the whole library.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
venv=$cache/venv-s3
wanted=$here/requirements/s3.txt
cd "$here"
if ! cmp -s "$wanted" "$venv/.installed"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/.installed"
fi
export QUORATE_S3_SERVER="$venv/bin/python $here/scripts/s3_server.py"
export CARGO_TARGET_DIR=${QUORATE_S3_TARGET_DIR:-${QUORATE_TARGET_DIR:-$cache/target}-s3}
# All features that change what is compiled, in one build.
flags="${CARGO_FLAGS:---release --locked} -p quorate-rag --features aws,failpoints,hnsw-rs"
cargo test $flags --test s3 "$@"
# Failpoints hold for a whole process, so their tests run apart from the others.
cargo test $flags --test engine failpoints::
cargo test $flags --lib index::dense
