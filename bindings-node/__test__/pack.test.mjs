// Does the package that is published work where nothing else of the repository is?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, link, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { platform } from '../dist/native.js';
import { inFolder } from './support/kb.mjs';

const run = promisify(execFile);
const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const PLATFORM = `quorate-${platform()}`;
const ADDON = `quorate.${platform()}.node`;
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** An addon in another folder, without copying its many megabytes where that is possible. */
const place = (from, to) => link(from, to).catch(() => copyFile(from, to));

test('the packed package works beside the one of its platform', () =>
  inFolder(async (folder) => {
    const packed = await run(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: PACKAGE });
    const [{ filename, files }] = JSON.parse(packed.stdout);
    const paths = files.map(({ path }) => path);
    for (const wanted of ['dist/index.js', 'dist/index.mjs', 'types/index.d.ts', 'native.d.ts', 'README.md', 'package.json']) {
      assert.ok(paths.includes(wanted), wanted);
    }
    // Neither the addon, which each platform has a package for, nor sources and tests.
    assert.deepEqual(paths.filter((path) => /\.node$|^(ts|src|__test__|npm|scripts)\//.test(path)), []);

    await writeFile(join(folder, 'package.json'), '{ "name": "clean", "private": true, "type": "module" }');
    await run(npm, ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, filename)], { cwd: folder });
    const beside = join(folder, 'node_modules', PLATFORM);
    await mkdir(beside);
    await copyFile(join(PACKAGE, 'npm', platform(), 'package.json'), join(beside, 'package.json'));
    await place(join(PACKAGE, ADDON), join(beside, ADDON));

    const program = `
      import { open, version } from 'quorate';
      import { majorityVote } from 'quorate/consensus';
      import { listen } from 'quorate/telemetry';
      listen(null);
      const kb = await open(null);
      await kb.add([{ id: 'a', text: 'Metformin lowers glucose.' }]);
      const [hit] = await kb.search('metformin');
      console.log(version, hit.docId, (await majorityVote([['x'], ['x'], ['y']])).itemLabels[0]);
    `;
    await writeFile(join(folder, 'program.mjs'), program);
    const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: folder });
    const { version } = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8'));
    assert.equal(stdout.trim(), `${version} a x`);

    // Types are found too, by both ways of importing.
    await symlink(join(PACKAGE, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
    await writeFile(join(folder, 'use.mts'), "import { open } from 'quorate';\nexport const kb: Promise<{ count(): Promise<number> }> = open(null);\n");
    await writeFile(join(folder, 'use.cts'), "import quorate = require('quorate');\nexport const version: string = quorate.version;\n");
    const tsc = join(PACKAGE, 'node_modules', 'typescript', 'bin', 'tsc');
    const options = ['--noEmit', '--strict', '--module', 'Node16', '--target', 'ES2022', '--skipLibCheck', 'use.mts', 'use.cts'];
    await run(process.execPath, [tsc, ...options], { cwd: folder });
  }));

test('each platform has its package, of one version', async () => {
  const main = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8'));
  const own = JSON.parse(await readFile(join(PACKAGE, 'npm', platform(), 'package.json'), 'utf8'));
  assert.deepEqual([own.name, own.version, own.main, own.os[0]], [PLATFORM, main.version, ADDON, process.platform]);
});
