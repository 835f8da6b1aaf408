// Is each error of the right class, with its code?

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import * as quorate from 'quorate';

const FAMILIES = ['InvalidInput', 'NotFound', 'Conflict', 'Locked', 'Corrupt', 'Unavailable', 'Cancelled', 'Unsupported'];

test('the classes are errors with a code', () => {
  for (const name of FAMILIES) {
    const error = new quorate[name]('internal', 'oh', { cause: 7 });
    assert.ok(error instanceof quorate.QuorateError && error instanceof Error);
    assert.deepEqual([error.name, error.code, error.message, error.cause], [name, 'internal', 'oh', 7]);
    assert.match(String(error), new RegExp(`^${name}: oh$`));
    assert.match(error.stack, new RegExp(`^(\\w+): oh\\n`));
  }
});

test('the codes are those of the library, in the table and in the type', () => {
  const table = readFileSync(new URL('../../core/src/error.rs', import.meta.url), 'utf8');
  const known = [...table.matchAll(/^ {4}\w+, "(\w+)", (\w+), "([^"]+)";$/gm)];
  assert.ok(known.length > 30);
  assert.deepEqual(quorate.ERROR_CODES, Object.fromEntries(known.map(([, code, , meaning]) => [code, meaning])));
  const types = readFileSync(new URL('../types/errors.d.ts', import.meta.url), 'utf8');
  const union = /type ErrorCode = ([^;]+);/.exec(types)[1];
  assert.deepEqual([...union.matchAll(/'(\w+)'/g)].map(([, code]) => code), known.map(([, code]) => code));
});

test('CommonJS and ESM share one set of objects', () => {
  const required = createRequire(import.meta.url)('quorate');
  assert.deepEqual(Object.keys(required).sort(), Object.keys(quorate).sort());
  for (const name of Object.keys(quorate)) assert.equal(required[name], quorate[name], name);
  assert.equal(quorate.version, JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version);
});

test('an error tells where the call came from', async () => {
  async function mine() {
    await quorate.open('/proc/no/such/place');
  }
  await assert.rejects(mine(), (error) => /mine/.test(error.stack) && error.code !== 'internal');
});

test('an object store needs its feature', async () => {
  const refused = (error) =>
    error instanceof quorate.Unsupported && error.code === 'unsupported' && /'aws'/.test(error.message);
  await assert.rejects(async () => quorate.open('s3://bucket/kb'), refused);
});
