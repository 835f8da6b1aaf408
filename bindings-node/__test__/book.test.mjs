// Does the book show what works in Node, too?
//
// The blocks of a page that are marked `js` are one module, which runs in a fresh folder, in which `files/` holds the files of
// `examples/files`. `EXPRESSION; // -> VALUE` says what an expression gives (as `util.inspect` shows it), which is compared. What only shows a
// form is marked `text`.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ERROR_CODES } from 'quorate';

import { inFolder } from './support/kb.mjs';

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const ROOT = dirname(PACKAGE);
const DOCS = join(ROOT, 'docs');
const PAGES = readdirSync(DOCS, { recursive: true })
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .concat('README.md')
  .sort();

const CLAIM = /^(\s*)(\S.*?);\s+\/\/ -> (.+)$/;

const HELP = `import { inspect as __inspect } from 'node:util';
const __seen = new Set();
const __claim = (place, value, found) => {
  __seen.add(place);
  const shown = __inspect(found, { breakLength: Infinity, depth: null });
  if (shown !== value) throw new Error(place + ' says ' + value + '; it gives ' + shown);
};
`;

/** The `js` blocks of a page as one module; none when it has none. */
function moduleOf(page) {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const out = [];
  const places = [];
  let inside = false;
  for (const [i, line] of text.split('\n').entries()) {
    if (!inside && line.startsWith('```js')) inside = true;
    else if (inside && line.startsWith('```')) inside = false;
    else if (inside) {
      const claim = CLAIM.exec(line);
      const [, indent, expression, value] = claim ?? [];
      const place = JSON.stringify(`${page}:${i + 1}`);
      if (claim) places.push(place);
      out.push(claim ? `${indent}__claim(${place}, ${JSON.stringify(value)}, (${expression}));` : line);
    }
  }
  // A claim that was not reached is none that holds.
  const all = `for (const place of [${places.join(', ')}]) if (!__seen.has(place)) throw new Error(place + ' was not reached');`;
  return out.length > 0 ? [HELP, ...out, all].join('\n') : null;
}

const withJs = PAGES.filter((page) => moduleOf(page) !== null);

for (const page of withJs) {
  test(`the blocks of ${page} run`, (t) =>
    inFolder((folder) => {
      cpSync(join(ROOT, 'examples', 'files'), join(folder, 'files'), { recursive: true });
      mkdirSync(join(folder, 'node_modules'));
      symlinkSync(PACKAGE, join(folder, 'node_modules', 'quorate'));
      symlinkSync(join(PACKAGE, 'node_modules', '@opentelemetry'), join(folder, 'node_modules', '@opentelemetry'));
      if (page === 'docs/models-local.md') {
        const weights = process.env.QUORATE_TEST_LLM ?? '';
        if (!existsSync(weights)) return t.skip("the weights of the local model are not here; 'make weights' puts them into the cache");
        symlinkSync(weights, join(folder, basename(weights)));
      }
      const file = join(folder, 'page.mjs');
      writeFileSync(file, moduleOf(page));
      const env = { ...process.env, OPENAI_API_KEY: 'none', ANTHROPIC_API_KEY: 'none' };
      const run = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', env, timeout: 120_000 });
      assert.equal(run.status, 0, `${page}:\n${run.stderr}`);
    }));
}

test('the book shows Node on many pages', () => assert.ok(withJs.length > 12, `${withJs}`));

test('every code is in the table', () => {
  const text = readFileSync(join(DOCS, 'errors.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| `\w+` \| (.+?) \|/gm)].map(([, code, meaning]) => [code, meaning]);
  assert.deepEqual(Object.fromEntries(rows), { ...ERROR_CODES });
});
