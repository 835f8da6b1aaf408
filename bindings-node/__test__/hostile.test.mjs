// Does every call of the package answer hostile values with a code, soon, and within bounds of memory?

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as quorate from 'quorate';

import { TABLE, surface } from '../scripts/surface.mjs';
import { inFolder } from './support/kb.mjs';

test('the table of calls is what the package declares, and what it exports', () => {
  const table = JSON.parse(readFileSync(TABLE, 'utf8')).node;
  assert.equal(JSON.stringify(table), JSON.stringify(surface()), 'run: node bindings-node/scripts/surface.mjs');
  for (const [entry, module] of [['quorate', quorate], ['quorate/consensus', quorate.consensus], ['quorate/telemetry', quorate.telemetry]]) {
    assert.deepEqual(Object.keys(table[entry]).sort(), exported(module), entry);
  }
});

/** The names of what can be called of a module, as the table has them. */
function exported(module) {
  const names = new Set();
  for (const [name, value] of Object.entries(module)) {
    if (typeof value !== 'function') continue;
    names.add(name);
    if (value.prototype instanceof Error || !/^class\b/.test(Function.prototype.toString.call(value))) continue;
    for (const owner of [value, value.prototype]) {
      for (let at = owner; at !== Object.prototype && at !== Function.prototype; at = Object.getPrototypeOf(at)) {
        for (const [method, { value: own }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
          if (typeof own === 'function' && !['constructor', 'prototype'].includes(method)) names.add(`${name}.${method}`);
        }
      }
    }
  }
  return [...names].sort();
}

/** How long the driver may say nothing, in milliseconds: longer than it waits for a call. */
const SILENCE = 180_000;

test('no call is shaken by hostile values', async () => {
  // `make torture` tries all of them, with QUORATE_HOSTILE_CASES=0.
  const cases = process.env.QUORATE_HOSTILE_CASES ?? '2';
  const seed = process.env.QUORATE_HOSTILE_SEED ?? '0';
  const driver = fileURLToPath(new URL('support/hostile.mjs', import.meta.url));
  const timeout = (cases === '0' ? 7200 : 1200) * 1000;
  const { lines, said, code } = await inFolder(async (folder) => {
    const child = spawn(process.execPath, ['--no-warnings', driver, folder, cases, seed], { timeout });
    const parts = { stdout: '', stderr: '' };
    // A call that holds its thread cannot be timed there.
    const silent = setTimeout(() => child.kill('SIGKILL'), SILENCE);
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (data) => {
        parts[name] += data;
        silent.refresh();
      });
    }
    const ended = await new Promise((resolve) => child.on('close', (...how) => resolve(how.join(' '))));
    clearTimeout(silent);
    return { lines: parts.stdout.trim().split('\n'), said: parts.stderr.slice(-2000), code: ended.trim() };
  });
  assert.equal(code, '0', `it ended with ${code} at ${lines.at(-1)}: ${said}`);
  const found = JSON.parse(lines.at(-1));
  assert.ok(found.tried > 500);
  assert.equal(found.wrong.join('\n'), '');
});
