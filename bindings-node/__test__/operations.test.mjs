// Do those who run a knowledge base get what they need: tenants that leave, copies, a verdict, another model, logs, memory?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { Cancelled, Conflict, Embedder, InvalidInput, NotFound, onLog, open } from 'quorate';

import { DOCUMENTS, fails, inFolder, withKb } from './support/kb.mjs';

const run = promisify(execFile);

/** The files below a folder whose names match. */
async function files(folder, name) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && name.test(entry.name)).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

test('tenants are listed and dropped', () =>
  withKb(async (kb) => {
    await kb.tenant('acme').add(DOCUMENTS);
    const acme = await kb.tenant('acme');
    assert.deepEqual(await kb.tenants(), ['acme']);
    await assert.rejects(acme.tenants(), fails(Conflict, 'tenant_violation'));
    await assert.rejects(acme.dropTenant('acme'), fails(Conflict, 'tenant_violation'));
    await assert.rejects(kb.dropTenant('nobody'), fails(NotFound, 'not_found'));
    for (const wrong of [null, undefined, 5, '']) await assert.rejects(kb.dropTenant(wrong), fails(InvalidInput, 'invalid_argument'));
    assert.equal(await kb.dropTenant('acme'), undefined);
    assert.deepEqual([await kb.tenants(), await acme.count(), await kb.count()], [[], 0, 3]);
  }));

test('a backup is opened like any other, and is there whole or not at all', () =>
  inFolder((folder) =>
    withKb(async (kb) => {
      await kb.tenant('acme').add(DOCUMENTS.slice(0, 1));
      const told = [];
      const to = join(folder, 'copy');
      const report = await kb.backup(to, { progress: async (done, total) => void told.push([done, total]) });
      assert.deepEqual([report.tenants, report.documents], [1, 4]);
      assert.equal(told.at(-1)[0], told.at(-1)[1]);
      const copied = await open(to);
      assert.deepEqual(await copied.ids(), await kb.ids());
      assert.deepEqual(await copied.versions(), await kb.versions());
      assert.equal((await copied.verify()).ok, true);
      await copied.close();
      await assert.rejects(kb.backup(to), fails(InvalidInput, 'invalid_argument', /something is there/));
      await assert.rejects(kb.backup(''), fails(InvalidInput, 'invalid_argument'));
      await assert.rejects(kb.backup(join(folder, 'x'), { extra: 1 }), fails(InvalidInput, 'invalid_argument', /extra/));
      const failing = kb.backup(join(folder, 'x'), { progress: async () => Promise.reject(new Error('mine')) });
      await assert.rejects(failing, (error) => fails(InvalidInput, 'callback')(error) && error.cause.message === 'mine');
      const stop = new AbortController();
      const stopped = kb.backup(join(folder, 'x'), { signal: stop.signal, progress: () => stop.abort() });
      await assert.rejects(stopped, fails(Cancelled, 'cancelled'));
      assert.deepEqual(await readdir(folder), ['copy']);
    }),
  ));

test('what is not as it was written is listed', () =>
  withKb(async (kb, place) => {
    await kb.compact();
    assert.deepEqual((await kb.verify()).problems, []);
    const [part] = await files(join(place, 'index'), /^catalog.bin$/);
    const whole = await readFile(part);
    const damaged = Buffer.from(whole);
    damaged[damaged.length - 1] ^= 1;
    await writeFile(part, damaged);
    const { ok, problems } = await kb.verify();
    await writeFile(part, whole);
    assert.deepEqual([ok, problems[0].part, problems[0].code, problems[0].tenant], [false, 'index', 'corrupt', null]);
    assert.ok(problems.some(({ message }) => message.includes('catalog.bin')));
  }));

test('another model embeds everything again', () =>
  inFolder((folder) =>
    withKb(async (kb) => {
      const embedder = new Embedder('builtin', { dimensions: 64 });
      const to = join(folder, 'other');
      assert.equal((await kb.reembed(to, { embedder })).documents, 3);
      const other = await open(to, { embedder });
      assert.deepEqual([await other.ids(), (await other.stats()).dim], [await kb.ids(), 64]);
      await other.close();
      await assert.rejects(kb.reembed(to, { embedder }), fails(InvalidInput, 'invalid_argument'));
      await assert.rejects(kb.reembed(join(folder, 'x'), {}), fails(InvalidInput, 'invalid_argument', /embedder/));
      await assert.rejects(kb.reembed(join(folder, 'x'), { embedder, keepChunks: 1 }), fails(InvalidInput, 'invalid_argument'));
    }),
  ));

test('a knowledge base in memory', () =>
  inFolder(async (folder) => {
    const kb = await open(null);
    await kb.add(DOCUMENTS);
    assert.equal((await kb.search('metformin', { k: 1 }))[0].docId, 'metformin');
    await kb.backup(join(folder, 'kept'));
    await kb.close();
    const kept = await open(join(folder, 'kept'));
    assert.equal(await kept.count(), 3);
    await kept.close();
    // A setting that is not set is no wish for a knowledge base in memory.
    await assert.rejects(open(undefined), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(open(''), fails(InvalidInput, 'invalid_argument'));
  }));

test('places that are no folder are named', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'file'), '');
    await symlink('nowhere', join(folder, 'dangling'));
    for (const [name, said] of [['file', /is a file/], ['dangling', /leads to nothing/]]) {
      await assert.rejects(open(join(folder, name)), fails(InvalidInput, 'invalid_argument', said));
    }
  }));

/** Makes the list of indexes of a knowledge base unreadable. */
async function damage(place) {
  for (const manifest of await files(join(place, 'index'), /^MANIFEST$/)) await writeFile(manifest, 'damaged');
}

test('what is healed is told before the call that met it is done', () =>
  inFolder(async (folder) => {
    const kb = await open(folder);
    await kb.add(DOCUMENTS);
    await kb.close();
    await damage(folder);
    const heard = [];
    onLog((event) => heard.push(event));
    try {
      const again = await open(folder);
      assert.equal(heard.length, 1);
      assert.deepEqual([heard[0].level, heard[0].target], ['warn', 'quorate.rag']);
      assert.match(heard[0].message, /built again/);
      assert.ok(heard[0].fields.home.startsWith(folder) && heard[0].text.includes(heard[0].fields.home));
      assert.equal(await again.count(), 3);
      await again.close();
    } finally {
      onLog(null);
    }
    assert.throws(() => onLog(5), fails(InvalidInput, 'invalid_argument'));
    // Without a listener it is a warning of the process.
    await damage(folder);
    const program = `const { open } = require('quorate'); open(${JSON.stringify(folder)}).then((kb) => kb.close())`;
    const { stderr } = await run(process.execPath, ['-e', program], { cwd: import.meta.dirname ?? '.' });
    assert.match(stderr, /QuorateWarning: .*built again/);
  }));

test('functions of the host may await the library however many there are', () =>
  withKb(async (kb) => {
    const plain = async (query, hits) => {
      await kb.stats();
      return hits.map(() => 1);
    };
    // One below the other, as a reranker that searches has it.
    const nested = async (query, hits) => {
      await kb.search('asthma', { k: 1, rerank: plain });
      return hits.map(() => 1);
    };
    for (const n of [3, 200, 600]) {
      const found = await Promise.all(Array.from({ length: n }, (_, i) => kb.search('metformin', { k: 3, rerank: i % 2 ? plain : nested })));
      assert.ok(found.every((hits) => hits.length > 0));
    }
  }));

test('an asynchronous function that is told of progress may fail without an end of the process', () =>
  withKb(async (kb) => {
    for (const progress of [async () => Promise.reject(new Error('mine')), () => Promise.reject(new Error('mine')), () => { throw new Error('mine'); }]) {
      const added = kb.add([{ id: 'n', text: 'new' }], { progress });
      await assert.rejects(added, (error) => fails(InvalidInput, 'callback')(error) && error.cause.message === 'mine');
    }
    assert.equal(await kb.count(), 3);
  }));
