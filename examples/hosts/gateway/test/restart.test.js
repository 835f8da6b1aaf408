// Does a gateway that was killed find everything again?

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { DOCUMENTS, eventsOf, start, until } from './support.js';

const EXTENSION = new URL('extension.js', import.meta.url).pathname;

async function inFolder(work) {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-gateway-'));
  const servers = [];
  try {
    await work(async (env) => {
      const server = await start(folder, env);
      servers.push(server);
      return server;
    });
  } finally {
    for (const one of servers) await one.end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

test('after SIGKILL documents, runs and reviews are there, and what was under way goes on', () =>
  inFolder(async (begin) => {
    const env = { QUORATE_EXTENSION: EXTENSION };
    const first = await begin(env);
    await first.call('/v1/documents', { body: { documents: DOCUMENTS }, tenant: 'Acme' });
    const pending = (await first.call('/v1/ask', { body: { question: 'There was a lactic acidosis: file it', agent: 'endocrinology' }, tenant: 'Acme' })).json;
    assert.equal(pending.status, 'waiting');
    const { id } = (await first.call('/v1/workflows/reviewed_answer/start', { body: { input: { question: 'metformin' } }, tenant: 'Acme' })).json;
    const review = await until(async () => (await first.call(`/v1/reviews?run=${id}`, { tenant: 'Acme' })).json.reviews[0], 'the review');
    // A question and a write are under way when the process dies.
    const cut = first.call('/v1/ask', { body: { question: 'metformin: take your time', agent: 'endocrinology', stream: true }, tenant: 'Acme' }).catch((error) => error);
    await until(async () => (await first.call('/v1/runs?status=running', { tenant: 'Acme' })).json.runs.some((run) => run.kind === 'ask'), 'the run');
    assert.deepEqual(await first.end('SIGKILL'), [null, 'SIGKILL']);
    assert.ok((await cut) instanceof Error);

    const second = await begin(env);
    const { hits } = (await second.call('/v1/search?q=metformin&k=10', { tenant: 'Acme' })).json;
    assert.equal(hits.length, DOCUMENTS.length);
    const { runs } = (await second.call('/v1/runs', { tenant: 'Acme' })).json;
    const interrupted = runs.find((run) => run.status === 'interrupted');
    assert.ok(interrupted, JSON.stringify(runs));
    const [call] = pending.pending;
    const resumed = (await second.call(`/v1/runs/${pending.runId}/resume`, { body: { decisions: { [call.id]: 'approve' } }, tenant: 'Acme' })).json;
    assert.equal(resumed.status, 'done');
    const again = eventsOf((await second.call(`/v1/runs/${interrupted.runId}/resume`, { body: { stream: true }, tenant: 'Acme' })).text);
    assert.match(again.at(-1).data.result.text, /It took its time/);
    assert.equal((await second.call(`/v1/reviews/${review.id}/decide`, { body: { option: 'approve' }, tenant: 'Acme' })).status, 200);
    await until(async () => (await second.call(`/v1/workflows/runs/${id}`, { tenant: 'Acme' })).json.status === 'completed', 'the end of the workflow');
    assert.deepEqual((await second.call('/v1/runs', { tenant: 'acme' })).json.runs, []);
  }));

test('after SIGTERM what takes too long is interrupted and can be resumed', () =>
  inFolder(async (begin) => {
    const env = { QUORATE_EXTENSION: EXTENSION, QUORATE_GRACE_SECONDS: '1' };
    const first = await begin(env);
    await first.call('/v1/documents', { body: { documents: DOCUMENTS } });
    const { id } = (await first.call('/v1/workflows/reviewed_answer/start', { body: { input: { question: 'metformin' } } })).json;
    const watched = first.call(`/v1/workflows/runs/${id}/stream`).catch((error) => error);
    await until(async () => (await first.call(`/v1/reviews?run=${id}`)).json.reviews[0], 'the review');
    const cut = Promise.all([true, false].map((stream) => first.call('/v1/ask', { body: { question: 'metformin: take your time', agent: 'endocrinology', stream } }).catch((error) => error)));
    await until(async () => (await first.call('/v1/runs?status=running')).json.runs.filter((run) => run.kind === 'ask').length === 2, 'the runs');
    const began = performance.now();
    assert.deepEqual(await first.end('SIGTERM'), [0, null]);
    assert.ok(performance.now() - began < 5000);
    assert.ok((await cut).every((one) => one instanceof Error));
    assert.ok((await watched).text);
    const second = await begin(env);
    const cutOff = (await second.call('/v1/runs?status=interrupted')).json.runs;
    assert.equal(cutOff.length, 2);
    const [run] = cutOff;
    assert.match((await second.call(`/v1/runs/${run.runId}/resume`, { body: {} })).json.text, /It took its time/);
  }));

test('a workflow goes on after SIGKILL although nobody asks for its tenant', () =>
  inFolder(async (begin) => {
    const first = await begin({ QUORATE_EXTENSION: EXTENSION });
    const { id } = (await first.call('/v1/workflows/reviewed_answer/start', { body: { input: { question: 'metformin: take your time' } } })).json;
    await until(async () => (await first.call(`/v1/workflows/runs/${id}/steps`)).json.steps.some((step) => step.status === 'running'), 'the first step');
    await first.end('SIGKILL');
    const second = await begin();
    const metrics = async () => (await second.call('/v1/metrics', { tenant: 'watch' })).text;
    assert.match(await metrics(), /quorate_tenants_open 1/);
    await until(async () => (await second.call(`/v1/reviews?run=${id}`)).json.reviews.length === 1, 'the review', 20);
  }));
