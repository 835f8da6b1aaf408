// Is `npx quorate` the command line, in an empty folder and without a network?

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { open, version } from '../dist/index.js';
import { inFolder } from './support/kb.mjs';

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));

/** The program that package.json names. */
const { bin } = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8'));
const BIN = join(PACKAGE, bin.quorate);

function start(folder, ...args) {
  const child = spawn(process.execPath, [BIN, ...args], { cwd: folder });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => (out += data));
  child.stderr.on('data', (data) => (err += data));
  const done = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
  return { child, done };
}

async function run(folder, given, ...args) {
  const { child, done } = start(folder, ...args);
  child.stdin.end(given);
  return done;
}

test('documents are added and an expert answers', () =>
  inFolder(async (folder) => {
    await mkdir(join(folder, 'docs'));
    await writeFile(join(folder, 'docs', 'a.md'), 'The highest dose of metformin is 2550 mg a day.\n');
    const added = await run(folder, '', 'add', 'docs', '--json');
    assert.equal(added.code, 0, added.err);
    assert.equal(JSON.parse(added.out).added, 1);
    const asked = await run(folder, 'What is the highest dose of metformin?', 'ask', '-', '--json');
    assert.equal(asked.code, 0, asked.err);
    assert.match(JSON.parse(asked.out).text, /2550 mg/);
    const kb = await open(join(folder, '.quorate'), { readOnly: true });
    assert.equal(await kb.count(), 1);
    await kb.close();
  }));

test('exit codes, errors and help are those of the binary', () =>
  inFolder(async (folder) => {
    const missing = await run(folder, '', 'search', 'x', '--json');
    assert.equal(missing.code, 3);
    assert.equal(JSON.parse(missing.err).code, 'not_found');
    assert.equal((await run(folder, '', 'serach')).code, 2);
    assert.equal((await run(folder, '', '--version')).out.trim(), `quorate ${version}`);
    assert.match((await run(folder, '', '--help')).out, /Usage: quorate/);
    // More than a pipe holds comes whole.
    const all = await run(folder, '', 'agents', 'list', '--json');
    assert.ok(JSON.parse(all.out).length > 100);
  }));

test('an interruption ends it', { skip: process.platform === 'win32' }, () =>
  inFolder(async (folder) => {
    const { child, done } = start(folder, 'add', '-');
    await sleep(1500);
    child.kill('SIGINT');
    const said = await done;
    assert.equal(said.code, 130, said.err);
    assert.ok(!existsSync(join(folder, '.quorate')));
  }));
