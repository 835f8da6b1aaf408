// Does the gateway answer, keep tenants apart, stream, and end well?

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ERROR_CODES, open } from 'quorate';

import { STATUS } from '../src/errors.js';
import { DOCUMENTS, withGateway } from './support.js';

test('every code has a status', () => {
  assert.deepEqual(Object.keys(STATUS).sort(), Object.keys(ERROR_CODES).sort());
});

test('documents are stored, found with their reasons, read and deleted', () =>
  withGateway(async ({ call }) => {
    const stored = await call('/documents', { body: { documents: DOCUMENTS } });
    assert.deepEqual([stored.status, stored.json.added], [201, DOCUMENTS.length]);
    const { json } = await call('/search?q=metformin+renal&k=3&explain=true&where=year+%3E%3D+2020');
    assert.equal(json.hits.length, 3);
    assert.ok(json.hits.every((hit) => hit.metadata.year >= 2020));
    assert.equal(json.hits[0].explanation.score, json.hits[0].score);
    const document = await call('/documents/metformin');
    assert.equal(document.json.text.slice(json.hits[0].start, json.hits[0].end), json.hits[0].text);
    assert.equal((await call('/documents', { body: { documents: [DOCUMENTS[0]] } })).json.code, 'duplicate_id');
    const same = await call('/documents', { body: { documents: [DOCUMENTS[0]], onConflict: 'replace' } });
    assert.deepEqual([same.json.replaced, same.json.unchanged], [0, 1]);
    const changed = { ...DOCUMENTS[0], metadata: { ...DOCUMENTS[0].metadata, reviewed: true } };
    const replaced = await call('/documents', { body: { documents: [changed], onConflict: 'replace' } });
    assert.equal(replaced.json.replaced, 1);
    assert.deepEqual((await call('/documents/asthma', { method: 'DELETE' })).json, { deleted: 1 });
    assert.equal((await call('/documents/asthma', { method: 'DELETE' })).status, 404);
    assert.deepEqual((await call('/documents?where=year+%3C+2020', { method: 'DELETE' })).json, { deleted: 1 });
  }));

test('tenants see their own documents alone', () =>
  withGateway(async ({ call }) => {
    await call('/documents', { body: { documents: DOCUMENTS }, tenant: 'acme' });
    assert.deepEqual((await call('/search?q=metformin', { tenant: 'other' })).json.hits, []);
    assert.equal((await call('/documents/metformin', { tenant: 'other' })).status, 404);
    assert.equal((await call('/search?q=metformin', { tenant: 'acme' })).json.hits.length, DOCUMENTS.length);
    for (const tenant of ['', '../x', 'a'.repeat(65)]) {
      assert.equal((await call('/search?q=x', { tenant })).status, 422, tenant);
    }
  }));

test('a question gets cited context', () =>
  withGateway(async ({ call }) => {
    await call('/documents', { body: { documents: DOCUMENTS } });
    const { status, json } = await call('/context', { body: { question: 'metformin and kidneys', maxTokens: 120 } });
    assert.equal(status, 200);
    assert.ok(json.tokens > 0 && json.tokens <= 120);
    assert.ok(json.citations.some((one) => one.docId === 'metformin'));
    for (const { marker } of json.citations) assert.ok(json.text.includes(marker));
  }));

test('experts are matched and make a panel', () =>
  withGateway(async ({ call }) => {
    const question = 'Is a 510(k) needed for our ECG app?';
    const { matches } = (await call('/match', { body: { question, k: 3 } })).json;
    assert.equal(matches.length, 3);
    assert.ok(matches[0].confidence >= 0 && matches[0].agent.name);
    assert.deepEqual((await call('/match', { body: { question, require: ['no.such'] } })).json.code, 'unknown_capability');
    const { members, coverage } = (await call('/panel', { body: { question, size: 4 } })).json;
    assert.equal(new Set(members.map((m) => m.agent.id)).size, 4);
    assert.ok(coverage.value > 0);
  }));

test('a panel and raters are brought together', () =>
  withGateway(async ({ call }) => {
    const ballots = [{ voter: 'a', choice: 'yes' }, { voter: 'b', choice: 'yes' }, { voter: 'c', choice: 'no' }];
    const { json } = await call('/consensus', { body: { ballots } });
    assert.deepEqual([json.decision, json.level], ['yes', 'moderate']);
    assert.equal(json.minority.minorities[0].members[0].voter, 'c');
    assert.match(json.explanation, /2 \/ 3/);
    const votes = ['q1', 'q2'].flatMap((item) => ['a', 'b', 'c'].map((rater) => ({ item, rater, label: rater === 'c' ? 'no' : 'yes' })));
    const truth = (await call('/consensus', { body: { votes, method: 'majorityVote' } })).json;
    assert.deepEqual(truth.labels, { q1: 'yes', q2: 'yes' });
    assert.equal((await call('/consensus', { body: {} })).status, 422);
  }));

test('an ingest tells how far it is, and a caller who hangs up stops it', () =>
  withGateway(async ({ call, url }) => {
    const many = (n, words) => Array.from({ length: n }, (_, i) => ({ id: `d${i}`, text: `Document ${i} ${'renal failure '.repeat(words)}` }));
    const { headers, text } = await call('/ingest', { body: { documents: many(300, 20) } });
    assert.match(headers.get('content-type'), /event-stream/);
    const events = text.trim().split('\n\n').map((one) => one.match(/^event: (\w+)\ndata: (.*)$/).slice(1));
    assert.ok(events.slice(0, -1).every(([kind]) => kind === 'progress'));
    assert.deepEqual([events.at(-1)[0], JSON.parse(events.at(-1)[1]).added], ['done', 300]);
    const again = await call('/ingest', { body: { documents: many(1, 1) } });
    assert.match(again.text, /event: failed\ndata: .*duplicate_id/);
    const controller = new AbortController();
    const body = JSON.stringify({ documents: many(6000, 60) });
    const started = await fetch(`${url}/ingest`, { method: 'POST', body, signal: controller.signal, headers: { 'content-type': 'application/json', 'x-tenant': 'hasty' } });
    assert.equal(started.status, 200);
    controller.abort();
    await assert.rejects(started.text());
    // A write of the same tenant waits for the one that is being stopped.
    await call('/documents', { body: { documents: [{ id: 'after', text: 'after' }] }, tenant: 'hasty' });
    assert.deepEqual((await call('/search?q=renal&k=10', { tenant: 'hasty' })).json.hits.map((hit) => hit.docId), ['after']);
  }));

test('bad requests are refused with a status and a code', () =>
  withGateway(async ({ call }) => {
    await call('/documents', { body: { documents: DOCUMENTS } });
    const refused = [
      [422, 'invalid_request', '/search'],
      [422, 'invalid_request', '/search?q=x&k=0'],
      [422, 'invalid_request', '/search?q=x&mode=fuzzy'],
      [422, 'filter_syntax', '/search?q=x&where=year'],
      [409, 'filter_type', "/search?q=x&where=year+%3D+'a'"],
      [404, 'not_found', '/nothing'],
    ];
    for (const [status, code, path] of refused) {
      const { status: got, json } = await call(path);
      assert.deepEqual([got, json.code], [status, code], path);
    }
    assert.equal((await call('/documents', { body: { documents: [{ id: 'a' }] } })).status, 422);
    assert.equal((await call('/documents', { body: { documents: [{ id: '', text: 'b' }] } })).status, 422);
  }));

test('health says how the event loop fares, and the page is served', () =>
  withGateway(async ({ call }) => {
    const { json } = await call('/health', { tenant: '' });
    assert.deepEqual([json.status, json.role, json.documents], ['ok', 'writer', 0]);
    assert.ok(json.loopDelayMs.p99 >= 0);
    for (const [path, type, text] of [['/', 'text/html', /explorer/], ['/explorer.css', 'text/css', /--accent/], ['/explorer.js', 'text/javascript', /hashchange/], ['/search.js', 'text/javascript', /showHits/]]) {
      const page = await call(path, { tenant: '' });
      assert.equal(page.status, 200);
      assert.match(page.headers.get('content-type'), new RegExp(type));
      assert.match(page.text, text);
    }
  }));

test('closing waits for what runs and lets go of the files', () =>
  withGateway(async ({ app, call, folder }) => {
    await call('/documents', { body: { documents: DOCUMENTS } });
    const running = Array.from({ length: 50 }, () => call('/search?q=metformin'));
    await new Promise(setImmediate);
    await Promise.all([app.close(), ...running.map((one) => one.catch(() => {}))]);
    const kb = await open(join(folder, 'kb'), { tenant: 'acme' });
    assert.equal(await kb.count(), DOCUMENTS.length);
    await kb.close();
  }));

test('the process ends on SIGTERM', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-gateway-'));
  const main = new URL('../src/main.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [main], { env: { ...process.env, QUORATE_FOLDER: folder, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve([code, signal])));
    let said = '';
    for await (const data of child.stdout) {
      said += data;
      if (/listening at (http:[^"]+)/.test(said)) break;
    }
    const [, url] = /listening at (http:[^"]+)/.exec(said);
    assert.equal((await (await fetch(`${url}/health`)).json()).status, 'ok');
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});

test('npm start ends well at SIGTERM: it answers what it has begun and lets go of the files', { skip: process.platform === 'win32' }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-gateway-'));
  const home = new URL('..', import.meta.url).pathname;
  const child = spawn('npm', ['start', '--silent'], { cwd: home, env: { ...process.env, QUORATE_FOLDER: folder, PORT: '0' } });
  try {
    let said = '';
    await new Promise((resolve, reject) => {
      child.stdout.on('data', (data) => {
        said += data;
        if (said.includes('Server listening')) resolve();
      });
      child.once('exit', () => reject(new Error(said)));
    });
    await assert.rejects(open(join(folder, 'kb')), { code: 'locked' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    assert.match(said, /SIGTERM: closing/);
    const kb = await open(join(folder, 'kb'));
    await kb.close();
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
