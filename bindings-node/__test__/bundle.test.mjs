// Does a program that esbuild has made one file of find the addon, or say what to do?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { build } from 'esbuild';

import { platform } from '../dist/native.js';
import { inFolder } from './support/kb.mjs';

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const ADDON = `quorate.${platform()}.node`;
const PROGRAM = `
  import { consensus, open } from 'quorate';
  import { majorityVote } from 'quorate/consensus';
  async function main() {
    const kb = await open(null);
    await kb.add([{ id: 'a', text: 'Metformin lowers glucose.' }]);
    const [hit] = await kb.search('metformin');
    const vote = await consensus.majorityVote([['x'], ['x'], ['y']]);
    console.log(hit.docId, vote.itemLabels[0], majorityVote === consensus.majorityVote);
  }
  main();
`;

/** Makes one file of the program, in a folder where nothing else is. */
async function bundle(folder, format, options = {}) {
  await mkdir(join(folder, 'source', 'node_modules'), { recursive: true });
  await symlink(PACKAGE, join(folder, 'source', 'node_modules', 'quorate'));
  await writeFile(join(folder, 'source', 'program.mjs'), PROGRAM);
  const outfile = join(folder, 'out', format === 'esm' ? 'bundle.mjs' : 'bundle.cjs');
  const entryPoints = [join(folder, 'source', 'program.mjs')];
  const made = await build({ entryPoints, outfile, bundle: true, platform: 'node', format, logLevel: 'silent', ...options });
  assert.deepEqual([made.errors, made.warnings], [[], []]);
  return outfile;
}

/** Runs a file in a folder of its own; what it prints. */
async function run(file, cwd, env = {}) {
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd, env: { ...process.env, ...env }, timeout: 60_000 });
  return stdout.trim();
}

for (const format of ['cjs', 'esm']) {
  test(`a bundle finds the addon that lies beside it (${format})`, () =>
    inFolder(async (folder) => {
      const file = await bundle(folder, format, { minify: format === 'cjs' });
      await symlink(join(PACKAGE, ADDON), join(dirname(file), ADDON));
      assert.equal(await run(file, folder), 'a x true');
    }));

  test(`a bundle finds the addon of the package that is installed where it runs (${format})`, () =>
    inFolder(async (folder) => {
      const file = await bundle(folder, format);
      assert.equal(await run(file, join(folder, 'source')), 'a x true');
      // Not by the folder that it is started in, but by its own.
      await symlink(join(folder, 'source', 'node_modules'), join(dirname(file), 'node_modules'));
      assert.equal(await run(file, '/'), 'a x true');
    }));

  test(`a bundle without the addon says what to do (${format})`, () =>
    inFolder(async (folder) => {
      const file = await bundle(folder, format);
      const says = (error) => {
        for (const part of [ADDON, dirname(file), '--external:quorate', 'QUORATE_NATIVE']) assert.ok(error.stderr.includes(part), error.stderr);
        return true;
      };
      await assert.rejects(run(file, folder), says);
      assert.equal(await run(file, folder, { QUORATE_NATIVE: join(PACKAGE, ADDON) }), 'a x true');
    }));

  test(`a bundle may leave the package out (${format})`, () =>
    inFolder(async (folder) => {
      const file = await bundle(folder, format, { external: ['quorate'] });
      await symlink(join(folder, 'source', 'node_modules'), join(dirname(file), 'node_modules'));
      assert.equal(await run(file, '/'), 'a x true');
    }));
}
