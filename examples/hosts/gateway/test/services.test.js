// Do the services answer as a process of its own, for who may ask them?

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WebSocket } from 'ws';

import { DOCUMENTS, SECRET, eventsOf, token, until, withServer } from './support.js';

const question = 'Is a 510(k) needed for our ECG app?';
const EXTENSION = new URL('extension.js', import.meta.url).pathname;

test('an expert answers, whole and as events, and its run can be read', () =>
  withServer(async ({ call }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    const { status, json } = await call('/v1/ask', { body: { question } });
    assert.deepEqual([status, json.status, json.agent], [200, 'done', 'fda-510k']);
    assert.equal(json.citations[0].docId, 'ecg');
    const streamed = await call('/v1/ask', { body: { question }, headers: { accept: 'text/event-stream' } });
    assert.match(streamed.headers.get('content-type'), /event-stream/);
    const events = eventsOf(streamed.text);
    assert.deepEqual([events[0].event, events.at(-1).event], ['run_start', 'end']);
    assert.equal(events.at(-1).data.result.text, json.text);
    assert.deepEqual(events.map((one) => Number(one.id)), events.map((_, i) => i + 1));
    const { runs } = (await call('/v1/runs')).json;
    assert.deepEqual(runs.map((run) => run.kind), ['ask', 'ask']);
    const told = (await call(`/v1/runs/${json.runId}/events`)).json.events;
    assert.equal(told.at(-1).type, 'end');
    assert.deepEqual((await call(`/v1/runs/${json.runId}/events?after=2&limit=1`)).json.events.map((one) => one.seq > 2), [true]);
    assert.equal((await call(`/v1/runs/${json.runId}/answer`)).json.text, json.text);
    for (const path of ['', '/events', '/answer']) assert.equal((await call(`/v1/runs/${json.runId}${path}`, { tenant: 'other' })).status, 404, path);
    assert.equal((await call(`/v1/runs/${json.runId}/cancel`, { body: {}, tenant: 'other' })).status, 404);
    assert.deepEqual((await call('/v1/runs', { tenant: 'other' })).json.runs, []);
    const same = await call('/v1/ask', { body: { question, idempotencyKey: 'k' } });
    assert.equal((await call('/v1/ask', { body: { question, idempotencyKey: 'k' } })).json.runId, same.json.runId);
  }));

test('a panel answers, whole and as events', () =>
  withServer(async ({ call }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    const body = { question, size: 3, options: ['yes', 'no'] };
    const { status, json } = await call('/v1/panels', { body });
    assert.equal(status, 200);
    assert.deepEqual([json.members.length, json.ballots.length, json.status], [3, 3, 'done']);
    assert.ok(['yes', 'no'].includes(json.score.decision) || json.score.tied.length > 0);
    const events = eventsOf((await call('/v1/panels', { body: { ...body, type: 'delphi', stream: true } })).text);
    assert.equal(events.at(-1).event, 'end');
    assert.ok(events.filter((one) => one.event === 'round_end').length > 1);
    assert.ok(events.filter((one) => one.event === 'ballot').length >= 6);
    assert.equal((await call(`/v1/runs/${json.runId}/answer`)).json.question, question);
    for (const stream of [false, true]) {
      const { status: missing, json: told } = await call('/v1/panels', { body: { question, members: ['nobody-of-this-name'], stream } });
      assert.deepEqual([missing, told.code], [404, 'unknown_id']);
    }
    assert.equal((await call('/v1/ask', { body: { question, agent: 'nobody-of-this-name', stream: true } })).json?.code, 'unknown_id');
  }, { QUORATE_MODEL: 'scripted:1' }));

test('a call that writes waits for approval; costs are told', () =>
  withServer(async ({ call }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    const asked = (await call('/v1/ask', { body: { question: 'There was a lactic acidosis: file it', agent: 'endocrinology' } })).json;
    assert.deepEqual([asked.status, asked.pending[0].name], ['waiting', 'file_report']);
    const [{ id }] = asked.pending;
    assert.equal((await call(`/v1/runs/${asked.runId}/resume`, { body: { decisions: { [id]: 'perhaps' } } })).status, 422);
    assert.equal((await call(`/v1/runs/${asked.runId}/resume`, { body: { decisions: { [id]: 'approve' } }, tenant: 'other' })).status, 404);
    const events = eventsOf((await call(`/v1/runs/${asked.runId}/resume`, { body: { decisions: { [id]: 'approve' }, stream: true } })).text);
    assert.ok(events.some((one) => one.event === 'tool_result' && one.data.content.includes('R-1')));
    const { result } = events.at(-1).data;
    assert.match(result.text, /filed/);
    assert.ok(result.cost > 0);
  }, { QUORATE_EXTENSION: EXTENSION }));

test('workflows are started, watched, paused, told and ended, and people decide reviews', () =>
  withServer(async ({ call }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    const { workflows } = (await call('/v1/workflows')).json;
    assert.ok(workflows.length >= 17);
    assert.ok(workflows.some((one) => one.id === 'reviewed_answer'));
    const { graph } = (await call('/v1/workflows/regulatory.fda_510k_submission')).json;
    assert.ok(graph.edges.some((one) => one.from === 'sign_off' && one.to === 'evidence' && one.back));
    assert.ok(graph.nodes.some((one) => one.id === 'bench' && one.within === 'evidence'));
    for (const { from, to, back } of graph.edges) {
      const layer = (id) => graph.nodes.find((one) => one.id === id).layer;
      assert.equal(layer(from) < layer(to), !back, `${from} ${to}`);
    }
    // All that ships runs offline.
    const done = await call('/v1/workflows/regulatory.fda_510k_submission/start', { body: { offline: true } });
    assert.equal(done.status, 201);
    await until(async () => (await call(`/v1/workflows/runs/${done.json.id}`)).json.status === 'completed', 'the end of the run');
    const journal = eventsOf((await call(`/v1/workflows/runs/${done.json.id}/stream`)).text);
    assert.deepEqual([journal[0].event, journal.at(-1).event], ['started', 'ended']);
    const rest = eventsOf((await call(`/v1/workflows/runs/${done.json.id}/stream`, { headers: { 'last-event-id': '5' } })).text);
    assert.equal(rest[0].id, '6');
    assert.equal((await call(`/v1/workflows/runs/${done.json.id}/stream`, { headers: { 'last-event-id': 'x' } })).status, 422);
    // A review waits.
    const { id } = (await call('/v1/workflows/reviewed_answer/start', { body: { input: { question } } })).json;
    const review = await until(async () => (await call(`/v1/reviews?run=${id}`)).json.reviews[0], 'the review');
    assert.deepEqual(review.options, ['approve', 'revise', 'reject']);
    assert.equal((await call(`/v1/reviews/${review.id}`, { tenant: 'other' })).status, 404);
    assert.equal((await call(`/v1/reviews/${review.id}/claim`, { body: {}, headers: { 'x-user': 'ben' } })).json.claimedBy, 'ben');
    const other = await call(`/v1/reviews/${review.id}/decide`, { body: { option: 'approve' }, headers: { 'x-user': 'eve' } });
    assert.deepEqual([other.status, other.json.code], [409, 'run_conflict']);
    assert.equal((await call(`/v1/reviews/${review.id}/decide`, { body: { option: 'perhaps' }, headers: { 'x-user': 'ben' } })).status, 422);
    assert.equal((await call(`/v1/reviews/${review.id}/delegate`, { body: { user: 'cleo' }, headers: { 'x-user': 'ben' } })).status, 200);
    const decided = await call(`/v1/reviews/${review.id}/decide`, { body: { option: 'approve', comment: 'sound' }, headers: { 'x-user': 'cleo' } });
    assert.deepEqual([decided.status, decided.json.by], [200, 'cleo']);
    await until(async () => (await call(`/v1/workflows/runs/${id}`)).json.status === 'completed', 'the end of the reviewed run');
    const { ending } = (await call(`/v1/workflows/runs/${id}`)).json;
    assert.deepEqual([ending.output.status, ending.output.by], ['approved', 'cleo']);
    // Paused, resumed, cancelled.
    const third = (await call('/v1/workflows/reviewed_answer/start', { body: { input: { question } } })).json.id;
    await until(async () => (await call(`/v1/reviews?run=${third}`)).json.reviews[0], 'the third review');
    assert.equal((await call(`/v1/workflows/runs/${third}/pause`, { method: 'POST' })).status, 202);
    assert.equal((await call(`/v1/workflows/runs/${third}`)).json.status, 'paused');
    assert.equal((await call(`/v1/workflows/runs/${third}/resume`, { method: 'POST' })).status, 202);
    assert.equal((await call(`/v1/workflows/runs/${third}/signal`, { body: { name: 'hurry', data: { soon: true } } })).status, 202);
    assert.equal((await call(`/v1/workflows/runs/${third}/cancel`, { body: { reason: 'no longer needed' } })).status, 202);
    await until(async () => (await call(`/v1/workflows/runs/${third}`)).json.status === 'cancelled', 'the cancelled run');
    assert.equal((await call(`/v1/workflows/runs/${third}/signal`, { body: { name: 'late' } })).status, 409);
    const steps = (await call(`/v1/workflows/runs/${third}/steps`)).json.steps;
    assert.ok(steps.some((one) => one.id === 'approval' && one.status === 'cancelled'));
    assert.equal((await call('/v1/workflows/reviewed_answer/start', { body: { input: {} } })).status, 422);
    assert.equal((await call('/v1/workflows/none/start', { body: {} })).status, 404);
    assert.equal((await call('/v1/workflows/example/start', { method: 'POST' })).status, 422);
    assert.equal((await call(`/v1/workflows/runs/${third}/steps`, { tenant: 'other' })).status, 404);
  }));

test('agents are listed and looked for', () =>
  withServer(async ({ call }) => {
    const { agents } = (await call('/v1/agents')).json;
    assert.ok(agents.length > 50);
    assert.equal((await call(`/v1/agents?q=${encodeURIComponent(question)}&k=3`)).json.agents[0].id, 'fda-510k');
    assert.equal((await call('/v1/agents/fda-510k')).json.name, 'FDA 510(k) strategist');
    assert.equal((await call('/v1/agents/nobody')).status, 404);
  }));

test('tokens tell who asks; others are refused, and sessions stand for them', () =>
  withServer(async ({ call, url }) => {
    const good = await token();
    assert.equal((await call('/v1/documents', { body: { documents: DOCUMENTS }, token: good })).status, 201);
    const wrong = {
      none: {},
      'no scheme': { headers: { authorization: good } },
      'another secret': { token: await token({}, { secret: 'another secret that has more than 32 bytes' }) },
      expired: { token: await token({}, { seconds: -60 }) },
      endless: { token: await token({ exp: undefined }) },
      'another algorithm': { token: await token({}, { alg: 'HS512', secret: SECRET + SECRET }) },
      'no algorithm': { token: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.` },
      'another audience': { token: await token({ aud: 'billing' }) },
      'no tenant': { token: await token({ tenant: undefined }) },
      'no user': { token: await token({ sub: undefined }) },
      rubbish: { token: 'x'.repeat(9000) },
      'a header alone': { tenant: 'acme' },
    };
    for (const [what, how] of Object.entries(wrong)) {
      const { status, json } = await call('/v1/search?q=metformin', { tenant: '', ...how });
      assert.deepEqual([status, json.code], [401, 'unauthorized'], what);
      assert.doesNotMatch(JSON.stringify(json), /secret|stack|node_modules/);
    }
    assert.equal((await call('/v1/search?q=x', { token: await token({ tenant: '../x' }) })).status, 403);
    assert.equal((await call('/v1/metrics')).status, 401);
    // The header does not widen a token.
    const other = await call('/v1/search?q=metformin', { token: await token({ tenant: 'other' }), tenant: 'acme' });
    assert.deepEqual(other.json.hits, []);
    const made = await call('/v1/session', { method: 'POST', token: good });
    assert.equal(made.status, 201);
    const set = made.headers.get('set-cookie');
    assert.match(set, /HttpOnly; SameSite=Strict/);
    const [cookie] = set.split(';');
    assert.equal((await call('/v1/search?q=metformin', { tenant: '', headers: { cookie } })).json.hits.length, DOCUMENTS.length);
    assert.equal((await call('/v1/session', { tenant: '', headers: { cookie } })).json.user, 'ann');
    assert.equal((await call('/v1/search?q=metformin', { tenant: '', headers: { cookie: `${cookie.slice(0, -2)}xx` } })).status, 401);
    assert.equal((await call('/v1/search?q=metformin', { tenant: '', headers: { cookie, origin: 'https://elsewhere.example' } })).status, 403);
    assert.equal((await call('/v1/search?q=metformin', { tenant: '', headers: { cookie, origin: new URL(url).origin } })).status, 200);
    assert.equal((await call('/v1/session', { method: 'DELETE', tenant: '', headers: { cookie } })).status, 204);
    assert.equal((await call('/v1/search?q=metformin', { tenant: '', headers: { cookie } })).status, 401);
    // A review is decided by the token's user, who has its role.
    const { id } = (await call('/v1/workflows/reviewed_answer/start', { body: { input: { question } }, token: good })).json;
    const review = await until(async () => (await call(`/v1/reviews?run=${id}`, { token: good })).json.reviews[0], 'the review');
    const clerk = await token({ sub: 'cid', roles: ['clerk'] });
    assert.equal((await call(`/v1/reviews/${review.id}/decide`, { body: { option: 'approve' }, token: clerk })).status, 403);
    assert.deepEqual((await call('/v1/reviews', { token: clerk })).json.reviews, []);
    const reviewer = await token({ sub: 'rae', roles: ['reviewer'] });
    assert.equal((await call(`/v1/reviews/${review.id}/decide`, { body: { option: 'approve' }, token: reviewer, headers: { 'x-user': 'boss' } })).json.by, 'rae');
    // Who guesses is slowed; who is known behind the same address is not.
    const guesses = await Promise.all(Array.from({ length: 40 }, () => call('/v1/search?q=x', { token: 'guess' })));
    assert.ok(guesses.some((one) => one.status === 429));
    assert.equal((await call('/v1/search?q=x', { token: good })).status, 200);
  }, { QUORATE_JWT_SECRET: SECRET, QUORATE_AUDIENCE: 'quorate' }));

test('several things go over one socket', () =>
  withServer(async ({ url, call }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    const ws = new WebSocket(`${url.replace('http', 'ws')}/v1/socket?tenant=acme`);
    const got = [];
    ws.on('message', (data) => got.push(JSON.parse(data)));
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    const { id } = (await call('/v1/workflows/regulatory.fda_510k_submission/start', { body: { offline: true } })).json;
    ws.send(JSON.stringify({ id: 'a', type: 'ask', question }));
    ws.send(JSON.stringify({ id: 'p', type: 'panel', question, size: 3 }));
    ws.send(JSON.stringify({ id: 's', type: 'search', q: 'metformin', k: 2 }));
    ws.send(JSON.stringify({ id: 'w', type: 'workflow', run: id }));
    ws.send(JSON.stringify({ id: 'm', type: 'workflow', run: 'missing' }));
    await until(() => ['a', 'p', 's', 'w'].every((one) => got.some((message) => message.id === one && message.done)), 'the ends');
    const of = (task) => got.filter((one) => one.id === task && one.event).map((one) => one.event.type);
    assert.deepEqual([of('a').at(-1), of('p').at(-1), of('s'), of('w').at(-1)], ['end', 'end', ['hits'], 'ended']);
    assert.equal(got.find((one) => one.id === 'm').problem.code, 'unknown_id');
    ws.close();
  }));

test('correlation ids go through, metrics count, limits hold', () =>
  withServer(async ({ call }) => {
    const { headers } = await call('/v1/search?q=x', { headers: { 'x-correlation-id': 'case-17' } });
    assert.equal(headers.get('x-correlation-id'), 'case-17');
    const refused = await call('/v1/search?q=x&k=0', { headers: { 'x-correlation-id': 'bad id\t' } });
    assert.match(refused.headers.get('content-type'), /application\/problem\+json/);
    assert.notEqual(refused.json.correlationId, 'bad id');
    assert.deepEqual([refused.json.status, refused.json.type, refused.json.correlationId], [422, 'urn:quorate:code:invalid_request', refused.headers.get('x-correlation-id')]);
    const metrics = (await call('/v1/metrics', { tenant: 'watch' })).text;
    assert.match(metrics, /quorate_requests_total\{method="GET",route="\/v1\/search",status="200"\} 1/);
    assert.doesNotMatch(metrics, /acme/);
    const many = await Promise.all(Array.from({ length: 40 }, () => call('/v1/agents?q=x', { tenant: 'hasty' })));
    const full = many.filter((one) => one.status === 429);
    assert.ok(full.length >= 10, `${full.length} of 40 refused`);
    assert.equal(full[0].json.code, 'too_many_requests');
    assert.ok(Number(full[0].headers.get('retry-after')) >= 1);
    assert.equal((await call('/v1/search?q=x', { tenant: 'calm' })).status, 200);
  }, { QUORATE_RATE: '5', QUORATE_BURST: '20' }));
