#!/usr/bin/env bash
# Builds the book: the pages of docs/ with the API of the three languages. Any warning is an error.
# It installs its own tools into the cache (mkdocs and TypeDoc) and needs no build of the library. The API of Rust is
# taken from where `cargo doc` has put it, when it is there: `make docs` makes both.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}
target=${CARGO_TARGET_DIR:-${QUORATE_TARGET_DIR:-$cache/target}}
tools=$cache/book
site=${QUORATE_BOOK_SITE:-$tools/site}

for tool in python3 node npm; do
  command -v "$tool" >/dev/null || { echo "book: '$tool' is missing; install Python 3.11 and Node 20 first" >&2; exit 1; }
done

# installed WHAT FILE...: whether the tools that the files name are there.
installed() {
  local what=$1
  shift
  wanted=$(cat "$@" | cksum)
  [ "$(cat "$tools/$what/.wanted" 2>/dev/null)" = "$wanted" ]
}

mkdir -p "$tools"
if ! installed venv "$here/requirements/docs.txt"; then
  python3 -m venv --clear "$tools/venv"
  "$tools/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements/docs.txt"
  echo "$wanted" >"$tools/venv/.wanted"
fi
if ! installed node "$here/scripts/book/package.json" "$here/scripts/book/package-lock.json"; then
  rm -rf "$tools/node"
  mkdir -p "$tools/node"
  cp "$here/scripts/book/package.json" "$here/scripts/book/package-lock.json" "$tools/node"
  (cd "$tools/node" && npm ci --no-audit --no-fund --loglevel=error)
  echo "$wanted" >"$tools/node/.wanted"
fi

pages=$tools/pages
rm -rf "$pages"
cp -r "$here/docs" "$pages"

# Node: from the committed declarations.
cat >"$tools/node/tsconfig.json" <<JSON
{
  "compilerOptions": {
    "target": "ES2022", "lib": ["ES2023", "ESNext.Disposable"], "module": "Node16", "moduleResolution": "Node16",
    "strict": true, "skipLibCheck": true, "types": ["node"], "typeRoots": ["$tools/node/node_modules/@types"]
  },
  "files": ["$here/bindings-node/types/index.d.ts"]
}
JSON
"$tools/node/node_modules/.bin/typedoc" --tsconfig "$tools/node/tsconfig.json" --out "$pages/api/node" --name quorate \
  --entryPoints "$here/bindings-node/types/index.d.ts" \
  --basePath "$here/bindings-node/types" --disableSources --readme none --excludePrivate --excludeInternal \
  --validation.notExported false --treatWarningsAsErrors --logLevel Warn

# Rust: as cargo doc has made it.
if [ -e "$target/doc/quorate/index.html" ]; then
  cp -r "$target/doc" "$pages/api/rust"
else
  echo "book: no API of Rust yet; 'make docs' makes it first" >&2
  cp "$here/scripts/book/rust-missing.md" "$pages/api/rust.md"
fi

cd "$here"
export NO_MKDOCS_2_WARNING=1 QUORATE_BOOK_PAGES="$pages" QUORATE_BOOK_SITE="$site"
"$tools/venv/bin/mkdocs" build --quiet --strict
echo "book: $site/index.html"
