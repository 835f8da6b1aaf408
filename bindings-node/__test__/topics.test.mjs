// Do the one-topic examples say what is written beside them, also when they run again? Rust's and Python's say the same.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = dirname(dirname(fileURLToPath(import.meta.url)));
const topics = join(here, '..', 'examples', 'topics');
const files = (await readdir(topics)).sort();
const names = files.filter((file) => file.endsWith('.txt')).map((file) => file.slice(0, -4));

// A project that has the package, as `npm install` makes it.
const project = await mkdtemp(join(tmpdir(), 'quorate-topics-'));
after(() => rm(project, { recursive: true, force: true }));
await mkdir(join(project, 'node_modules'));
await symlink(here, join(project, 'node_modules', 'quorate'), 'junction');

test('there are topics', () => {
  assert.ok(names.length > 20);
  assert.deepEqual(names, files.filter((file) => file.endsWith('.mjs')).map((file) => file.slice(0, -4)));
});

for (const name of names) {
  test(`topic ${name}`, async () => {
    const file = join(project, `${name}.mjs`);
    await cp(join(topics, `${name}.mjs`), file);
    const written = await readFile(join(topics, `${name}.txt`), 'utf8');
    for (let i = 0; i < 2; i++) {
      const { stdout, stderr } = await run(process.execPath, [file], { cwd: project });
      assert.equal(stdout.trimEnd(), written.trimEnd());
      assert.equal(stderr, '');
    }
  });
}
