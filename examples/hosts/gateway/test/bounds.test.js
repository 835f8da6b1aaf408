// What does the gateway bear from clients that are slow, wrong, or mean harm?

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';

import { WebSocket } from 'ws';

import { CLOSE } from '../src/socket.js';
import { Buckets } from '../src/limits.js';
import { DOCUMENTS, until, withServer } from './support.js';

const EXTENSION = new URL('extension.js', import.meta.url).pathname;

/** Sends bytes, and gives what comes until the other side closes. */
async function raw(url, text, { end = false } = {}) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let got = '';
  socket.on('data', (data) => (got += data.toString('latin1')));
  socket.on('error', () => {});
  socket.write(text);
  if (end) socket.end();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return { socket, closed, got: () => got };
}

/** Megabytes that a process has in memory (Linux). */
async function rss(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
}

/** Waits until nothing is open any more. */
function noneOpen(call) {
  return until(async () => /quorate_streams_open 0/.test((await call('/v1/metrics', { tenant: 'watch' })).text), 'the end of all streams');
}

const linux = process.platform === 'linux';

test('a client that does not read its events does not grow memory, and is cut', { skip: !linux }, () =>
  withServer(async ({ url, call, child }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    await call('/v1/ask', { body: { question: 'metformin', agent: 'endocrinology' } });
    const body = JSON.stringify({ question: 'metformin: talk long', agent: 'endocrinology', stream: true });
    const ask = () => raw(url, `POST /v1/ask HTTP/1.1\r\nhost: x\r\nx-tenant: acme\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    const cut = async () => Number(/quorate_slow_clients_total (\d+)/.exec((await call('/v1/metrics', { tenant: 'watch' })).text)[1]);
    let most = 0;
    const watch = async () => {
      most = Math.max(most, await rss(child.pid));
    };
    // What four take that read all, twice: runs keep something of their own, and the allocator too.
    const peaks = [];
    let read = 0;
    const watching = setInterval(watch, 20);
    for (let round = 0; round < 2; round++) {
      const quick = await Promise.all(Array.from({ length: 4 }, ask));
      for (const { socket } of quick) socket.removeAllListeners('data').on('data', (data) => (read += data.length));
      await Promise.all(quick.map((one) => one.closed));
      peaks.push(most);
    }
    clearInterval(watching);
    assert.ok(read > 8e7, `${read} bytes`);
    const [first, before] = peaks;
    const unread = read / 2e6;
    const clients = await Promise.all(Array.from({ length: 4 }, ask));
    for (const { socket } of clients) socket.pause();
    await until(async () => {
      await watch();
      return (await cut()) === 4;
    }, 'the cut', 40);
    for (const { socket } of clients) socket.destroy();
    // Kept, the events would take what they are long, and more: that much is not there beside what four runs take that are read.
    assert.ok(most - before < before - first + unread, `memory went from ${first} to ${before} and ${most} MB; ${unread} MB of events were not read`);
    await noneOpen(call);
    assert.equal((await call('/v1/search?q=metformin')).status, 200);
  }, { QUORATE_EXTENSION: EXTENSION, QUORATE_STALL_SECONDS: '2' }));

test('a socket that does not read is cut by a stated code', () =>
  withServer(async ({ url, call }) => {
    await call('/v1/documents', { body: { documents: DOCUMENTS } });
    const ws = new WebSocket(`${url.replace('http', 'ws')}/v1/socket?tenant=acme`);
    await once(ws, 'open');
    ws.send(JSON.stringify({ id: 'a', type: 'ask', question: 'metformin: talk long', agent: 'endocrinology' }));
    await once(ws, 'message');
    ws.pause();
    await until(async () => /quorate_slow_clients_total 1/.test((await call('/v1/metrics', { tenant: 'watch' })).text), 'the cut', 20);
    const closed = once(ws, 'close');
    ws.resume();
    const [code, reason] = await closed;
    assert.deepEqual([code, String(reason)], [CLOSE.slow, 'slow_client']);
    await noneOpen(call);
  }, { QUORATE_EXTENSION: EXTENSION, QUORATE_STALL_SECONDS: '1' }));

test('a client that hangs up ends its question', () =>
  withServer(async ({ url, call }) => {
    const controller = new AbortController();
    const body = JSON.stringify({ question: 'metformin: take your time', agent: 'endocrinology', stream: true });
    const response = await fetch(`${url}/v1/ask`, { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-tenant': 'acme' }, signal: controller.signal });
    const reader = response.body.getReader();
    await reader.read();
    controller.abort();
    await until(async () => (await call('/v1/runs')).json.runs[0]?.status === 'cancelled', 'the end of the run', 5);
    await noneOpen(call);
  }, { QUORATE_EXTENSION: EXTENSION }));

test('bodies, addresses and headers are bounded, and requests that are no requests are refused', () =>
  withServer(async ({ url, call }) => {
    const long = 'x'.repeat(20_000);
    const refused = [
      [413, 'too_large', '/v1/ask', { body: { question: 'x'.repeat(500_000) } }],
      [413, 'too_large', '/v1/documents', { body: { documents: [{ id: 'a', text: 'x'.repeat(600_000) }] } }],
      [422, 'invalid_request', '/v1/ask', { body: { question: 'x'.repeat(10_001) } }],
      [422, 'invalid_request', '/v1/ask', { body: { question: 'x', quesiton: 'y' } }],
      [422, 'invalid_request', '/v1/ask', { body: {} }],
      [422, 'invalid_request', '/v1/ask', { body: null }],
      [422, 'invalid_request', '/v1/panels', { body: { question: 'x', size: 1000 } }],
      [414, 'too_large', `/v1/search?q=${long.slice(0, 13_000)}`, {}],
      [404, 'not_found', '/v1/%2e%2e/%2e%2e/etc/passwd', {}],
      [404, 'not_found', '/..%2f..%2fsrc/app.js', {}],
      [404, 'not_found', '/main.js', {}],
      [404, 'unknown_id', '/v1/runs/..%2f..%2fother', {}],
      [404, 'unknown_id', `/v1/runs/${'a'.repeat(150)}`, {}],
      [404, 'unknown_id', '/v1/runs/%00', {}],
      [414, 'too_large', `/v1/runs/${'a'.repeat(1100)}`, {}],
      [400, 'invalid_request', '/v1/runs/%zz', {}],
      [404, 'not_found', '/v1/ask', { method: 'DELETE' }],
      [422, 'invalid_request', '/v1/workflows/reviewed_answer/start', { body: { id: '../../x' } }],
    ];
    for (const [status, code, path, how] of refused) {
      const { status: got, json, text } = await call(path, how);
      assert.deepEqual([got, json?.code], [status, code], `${path.slice(0, 80)} ${text.slice(0, 300)}`);
      assert.doesNotMatch(text, /node_modules|at .*\.js|\/tmp\//, path);
    }
    for (const [body, type, status] of [['{', 'application/json', 400], ['{"__proto__": {"a": 1}, "question": "x"}', 'application/json', 400], ['a=1', 'application/x-www-form-urlencoded', 415], [`{"question":"x","where":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`, 'application/json', 422]]) {
      const response = await fetch(`${url}/v1/ask`, { method: 'POST', body, headers: { 'content-type': type, 'x-tenant': 'acme' } });
      assert.equal(response.status, status, `${body.slice(0, 40)} ${await response.clone().text()}`);
      assert.match(response.headers.get('content-type'), /problem\+json/);
    }
    for (const [text, status] of [['rubbish\r\n\r\n', 400], [`GET /v1/health HTTP/1.1\r\nhost: x\r\nx: ${long}\r\n\r\n`, 431], ['GET /v1/health HTTP/1.1\r\nhost: x\r\nhost: y\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 400]]) {
      const { closed, got } = await raw(url, text);
      await closed;
      assert.match(got(), new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 60));
    }
    assert.equal((await call('/v1/health', { tenant: '' })).status, 200);
  }, { QUORATE_BODY_LIMIT: '400000', QUORATE_DOCUMENTS_LIMIT: '500000' }));

test('requests that come drop by drop end', () =>
  withServer(async ({ url, call }) => {
    const headers = await raw(url, 'GET /v1/health HTTP/1.1\r\nhost: x\r\n');
    const body = await raw(url, 'POST /v1/ask HTTP/1.1\r\nhost: x\r\nx-tenant: acme\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{');
    const drop = setInterval(() => {
      if (headers.socket.writable) headers.socket.write('x: y\r\n');
      if (body.socket.writable) body.socket.write(' ');
    }, 100);
    try {
      await Promise.all([headers.closed, body.closed]);
    } finally {
      clearInterval(drop);
    }
    assert.match(headers.got(), /^HTTP\/1.1 408 /);
    assert.equal((await call('/v1/health', { tenant: '' })).status, 200);
  }, { QUORATE_HEADERS_SECONDS: '1', QUORATE_REQUEST_SECONDS: '2' }));

test('sockets that say what nobody understands are refused and closed', () =>
  withServer(async ({ url, call }) => {
    const at = `${url.replace('http', 'ws')}/v1/socket?tenant=acme`;
    const opened = async () => {
      const ws = new WebSocket(at);
      ws.on('error', () => {});
      await once(ws, 'open');
      return ws;
    };
    const ws = await opened();
    for (const [message, code] of [['{', 'invalid_request'], ['[]', 'invalid_request'], ['null', 'invalid_request'], ['{"id":"a","type":"__proto__"}', 'invalid_request'], ['{"id":"a","type":"ask"}', 'invalid_request'], ['{"id":"a","type":"ask","question":"x","agent":"nobody"}', 'unknown_id'], ['{"id":"a","type":"search","q":"x","where":"year >"}', 'filter_syntax']]) {
      const said = new Promise((resolve) => {
        const listen = (data) => {
          if (!String(data).includes('problem') && !String(data).includes('"error"')) return;
          ws.off('message', listen);
          resolve(String(data));
        };
        ws.on('message', listen);
      });
      ws.send(message);
      assert.match(await said, new RegExp(code), message);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const closed = once(ws, 'close');
    for (let i = 0; i < 20; i++) ws.send('{');
    assert.equal((await closed)[0], CLOSE.mistakes);
    const binary = await opened();
    const done = once(binary, 'close');
    binary.send(Buffer.from([1, 2]));
    assert.equal((await done)[0], CLOSE.unsupported);
    const large = await opened();
    const over = once(large, 'close');
    large.send('x'.repeat(1 << 20));
    assert.equal((await over)[0], 1009);
    // Bytes that are no frame.
    const wrong = await raw(url, 'GET /v1/socket?tenant=acme HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    await until(() => wrong.got().includes('101'), 'the upgrade');
    wrong.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await wrong.closed;
    for (const [path, headers, status] of [['/v1/socket', {}, 422], ['/v1/socket?tenant=../x', {}, 422], ['/v1/else?tenant=acme', {}, 404], ['/v1/socket?tenant=acme', { origin: 'https://elsewhere.example' }, 403]]) {
      const refused = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers });
      const [, response] = await new Promise((resolve) => refused.once('unexpected-response', (...all) => resolve(all)));
      assert.equal(response.statusCode, status, path);
      response.resume();
    }
    await noneOpen(call);
  }));

test('one tenant has so many streams at once', () =>
  withServer(async ({ url, call }) => {
    const open = async () => {
      const ws = new WebSocket(`${url.replace('http', 'ws')}/v1/socket?tenant=acme`);
      const status = await new Promise((resolve) => ws.once('open', () => resolve(101)).once('unexpected-response', (_, response) => resolve(response.statusCode)));
      return { ws, status };
    };
    const all = [];
    for (let i = 0; i < 4; i++) all.push(await open());
    assert.deepEqual(all.map((one) => one.status), [101, 101, 429, 429]);
    assert.equal((await call('/v1/ask', { body: { question: 'x', stream: true } })).json.code, 'too_many_streams');
    assert.equal((await call('/v1/ask', { body: { question: 'x', stream: true }, tenant: 'other' })).status, 200);
    for (const { ws, status } of all) if (status === 101) ws.terminate();
    await until(async () => (await call('/v1/ask', { body: { question: 'x', stream: true } })).status === 200, 'a free place');
  }, { QUORATE_STREAMS: '2' }));

test('tenants beyond the bound are let go of, and come back', () =>
  withServer(async ({ call }) => {
    for (let i = 0; i < 12; i++) await call('/v1/ask', { body: { question: 'metformin' }, tenant: `t${i}` });
    await until(async () => Number(/quorate_tenants_open (\d+)/.exec((await call('/v1/metrics', { tenant: 'watch' })).text)[1]) <= 5, 'letting go');
    for (let i = 0; i < 12; i++) assert.equal((await call('/v1/runs', { tenant: `t${i}` })).json.runs.length, 1);
  }, { QUORATE_TENANTS_OPEN: '4' }));

test('buckets fill by time and are bounded', () => {
  let now = 0;
  const buckets = new Buckets(2, 3, () => now);
  assert.deepEqual([buckets.take('a'), buckets.take('a'), buckets.take('a'), buckets.take('a')], [0, 0, 0, 0.5]);
  now = 0.5;
  assert.deepEqual([buckets.take('a'), buckets.take('a')], [0, 0.5]);
  for (let i = 0; i < 20_000; i++) buckets.take(`n${i}`);
  assert.ok(buckets.size <= 10_000);
});
