// Does the gateway ask engines well, also when they fail, hang, and recover?

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';

import { Breaker } from '../src/engine/breaker.js';
import { Cache, freshness } from '../src/engine/cache.js';
import { until, withServer } from './support.js';

/** An engine that does what `answer` says; `sick` is its health. */
async function fake(answer = (_, response) => response.end('ok'), port = 0) {
  const state = { sick: false, asked: [], answer };
  const server = createServer((request, response) => {
    if (request.url.endsWith('/health')) return response.writeHead(state.sick ? 503 : 200).end('{}');
    state.asked.push({ url: request.url, method: request.method, headers: request.headers });
    state.answer(request, response, state);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(state, {
    url: `http://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  });
}

/** Runs `work` with a gateway in front of engines. */
async function withEngines(engines, work, env = {}) {
  try {
    await withServer(work, { QUORATE_ENGINES: engines.map((one) => `${one.url}${one.path ?? ''}`).join(','), QUORATE_ENGINE_HEALTH_MS: '100', ...env });
  } finally {
    for (const one of engines) await one.close();
  }
}

test('requests go through as they are, with the tenant that was verified and nothing that is the gateway’s own', async () => {
  const engine = Object.assign(
    await fake(async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      response.writeHead(201, { 'content-type': 'application/json', 'x-own': '1', 'set-cookie': 'a=b', connection: 'close, x-hop', 'x-hop': '1' }).end(JSON.stringify({ body, method: request.method }));
    }),
    { path: '/base/' },
  );
  await withEngines([engine], async ({ call, url }) => {
    const { status, json, headers } = await call('/engine/v1/things?a=1&b=%2F', { body: { x: 1 }, headers: { cookie: 'quorate_session=x.y', 'x-forwarded-for': '1.2.3.4', 'x-correlation-id': 'case-1' } });
    assert.deepEqual([status, json], [201, { body: '{"x":1}', method: 'POST' }]);
    assert.deepEqual([headers.get('x-own'), headers.get('x-hop'), headers.get('set-cookie'), headers.get('x-correlation-id')], ['1', null, null, 'case-1']);
    const [{ url: at, headers: sent }] = engine.asked;
    assert.equal(at, '/base/v1/things?a=1&b=%2F');
    assert.deepEqual([sent['x-tenant'], sent.cookie, sent['x-forwarded-for'], sent['x-correlation-id']], ['acme', undefined, undefined, 'case-1']);
    assert.equal((await call('/engine/x', { method: 'PUT', body: 'x' })).json.method, 'PUT');
    assert.equal((await call('/engine/x', { tenant: '' })).status, 422);
    // Clients that do not tidy addresses up by themselves.
    for (const path of ['/engine/../admin', '/engine/a/./b', '/engine/%2e%2e/admin', '/engine/a/.%2E/b', '/engine//evil.example/x', '/engine/a%5cb', '/engine/a\\b', '/engine/a%2fb', '/engine/a%00']) {
      const { port } = new URL(url);
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nx-tenant: acme\r\nconnection: close\r\n\r\n`);
      assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 400 /, path);
      socket.destroy();
    }
  });
});

test('an engine that fails is left out for a while, and tried again', async () => {
  const engine = await fake((_, response) => response.writeHead(500).end('no'));
  await withEngines([engine], async ({ call }) => {
    for (let i = 0; i < 3; i++) assert.equal((await call('/engine/x')).status, 500);
    const refused = await call('/engine/x');
    assert.deepEqual([refused.status, refused.json.code, refused.headers.get('retry-after')], [503, 'circuit_open', '1']);
    assert.equal(engine.asked.length, 3);
    engine.answer = (_, response) => response.end('well');
    await until(async () => (await call('/engine/x')).status === 200, 'recovery', 5);
    assert.equal((await call('/engine/x')).text, 'well');
  }, { QUORATE_BREAKER_FAILURES: '3', QUORATE_BREAKER_SECONDS: '1' });
});

test('an engine that hangs is not waited for; one that breaks off is told', async () => {
  const engine = await fake((request, response) => {
    if (request.url === '/hang') return;
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
    setTimeout(() => response.destroy(), 50);
  });
  await withEngines([engine], async ({ call }) => {
    const began = performance.now();
    const late = await call('/engine/hang', { body: {} });
    assert.deepEqual([late.status, late.json.code], [504, 'timeout']);
    assert.ok(performance.now() - began < 3000);
    for (let i = 0; i < 4; i++) await assert.rejects(call('/engine/broken'));
    assert.equal((await call('/engine/broken')).status, 503);
    assert.equal((await call('/v1/health', { tenant: '' })).status, 200);
  }, { QUORATE_ENGINE_SECONDS: '1', QUORATE_BREAKER_FAILURES: '5', QUORATE_BREAKER_SECONDS: '60' });
});

test('clients that hang up are no failures of the engine', async () => {
  const engine = await fake((request, response) => (request.url === '/well' ? response.end('well') : response.write('piece')));
  await withEngines([engine], async ({ call, url }) => {
    for (let i = 0; i < 6; i++) {
      const controller = new AbortController();
      const response = await fetch(`${url}/engine/slow`, { headers: { 'x-tenant': 'acme' }, signal: controller.signal });
      await response.body.getReader().read();
      controller.abort();
    }
    await until(async () => (await call('/engine/well')).status === 200, 'an answer');
    assert.equal((await call('/v1/health', { tenant: '' })).json.engines.fit, 1);
  }, { QUORATE_BREAKER_FAILURES: '2', QUORATE_BREAKER_SECONDS: '60' });
});

test('of several engines those that are sick or gone are left out, and come back', async () => {
  const [one, two] = [await fake((_, response) => response.end('one')), await fake((_, response) => response.end('two'))];
  await withEngines([one, two], async ({ call }) => {
    const answers = async () => new Set((await Promise.all(Array.from({ length: 12 }, () => call('/engine/x')))).map((got) => `${got.status} ${got.text}`));
    assert.deepEqual([...(await answers())].sort(), ['200 one', '200 two']);
    one.sick = true;
    await until(async () => (await call('/v1/health', { tenant: '' })).json.engines.fit === 1, 'the health check');
    assert.deepEqual([...(await answers())], ['200 two']);
    one.sick = false;
    await until(async () => (await call('/v1/health', { tenant: '' })).json.engines.fit === 2, 'recovery');
    // It goes between two health checks: what only reads is asked of the other.
    await two.close();
    assert.deepEqual([...(await answers())], ['200 one']);
    await one.close();
    assert.ok([502, 503].includes((await call('/engine/x')).status));
    const back = await fake((_, response) => response.end('back'), one.port);
    try {
      await until(async () => (await call('/engine/x')).text === 'back', 'the engine that is there again', 5);
    } finally {
      await back.close();
    }
  }, { QUORATE_BREAKER_SECONDS: '1' });
});

test('answers are kept for their tenant where the engine allows it, and forgotten when something is written', async () => {
  let count = 0;
  const engine = await fake((request, response) => {
    const control = new URL(request.url, 'http://x').searchParams.get('cc') ?? '';
    response.writeHead(200, { 'cache-control': control, 'content-type': 'text/plain' }).end(`${request.headers['x-tenant']} ${(count += 1)}`);
  });
  await withEngines([engine], async ({ call }) => {
    const get = async (cc, how) => (await call(`/engine/x?cc=${encodeURIComponent(cc)}`, how)).text;
    const first = await get('public, max-age=60');
    const again = await call(`/engine/x?cc=${encodeURIComponent('public, max-age=60')}`);
    assert.deepEqual([again.text, again.headers.get('x-cache')], [first, 'hit']);
    assert.equal(await get('public, max-age=60', { tenant: 'other' }), 'other 2');
    assert.notEqual(await get('public, max-age=60', { headers: { 'cache-control': 'no-cache' } }), first);
    for (const cc of ['', 'max-age=60', 'private, max-age=60', 'no-store', 'public, no-cache', 'public, max-age=0']) assert.notEqual(await get(cc), await get(cc), cc);
    const other = await get('public, max-age=60', { tenant: 'other' });
    const kept = await get('public, max-age=60');
    await call('/engine/x', { method: 'DELETE' });
    assert.notEqual(await get('public, max-age=60'), kept);
    assert.equal(await get('public, max-age=60', { tenant: 'other' }), other);
  });
});

test('nothing stale, foreign or forged comes through', async () => {
  let text = 'old';
  const engine = await fake(async (request, response) => {
    if (request.method === 'DELETE') {
      await new Promise((resolve) => setTimeout(resolve, 400));
      text = 'gone';
      return response.writeHead(200, { 'cache-control': 'no-store' }).end();
    }
    return response.writeHead(200, { 'cache-control': 'public, max-age=600', vary: 'accept-encoding', 'x-asked': request.headers['accept-encoding'] ?? '' }).end(text);
  });
  await withEngines([engine], async ({ call, url }) => {
    const encodings = ['gzip', 'identity'];
    for (const one of encodings) assert.equal((await call('/engine/a', { headers: { 'accept-encoding': one } })).headers.get('x-asked'), one);
    const deleting = call('/engine/a', { method: 'DELETE' });
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal((await call('/engine/a')).text, 'old');
    assert.equal((await deleting).status, 200);
    assert.equal((await call('/engine/a')).text, 'gone');
    await call('/engine/b', { headers: { x_tenant: 'victim', 'x-real-ip': '9.9.9.9', 'x-roles': 'admin' } });
    const { headers } = engine.asked.at(-1);
    assert.deepEqual([headers['x_tenant'], headers['x-real-ip'], headers['x-roles'], headers['x-tenant']], [undefined, undefined, undefined, 'acme']);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET http://-admin/engine/echo HTTP/1.1\r\nhost: x\r\nx-tenant: acme\r\nconnection: close\r\n\r\n');
    let said = '';
    for await (const piece of socket) said += piece;
    assert.match(said, /^HTTP\/1.1 40\d /);
    assert.ok(engine.asked.every(({ url: asked }) => !asked.includes('admin')));
  });
});

test('a client that does not read does not make the gateway read on', async () => {
  let sent = 0;
  let closed = false;
  const engine = await fake((request, response) => {
    response.writeHead(200);
    response.once('close', () => (closed = true));
    const piece = Buffer.alloc(65_536);
    const more = () => {
      while (!closed && sent < 1e9) {
        sent += piece.length;
        if (!response.write(piece)) return void response.once('drain', more);
      }
    };
    more();
  });
  await withEngines([engine], async ({ url }) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.pause();
    socket.write('GET /engine/long HTTP/1.1\r\nhost: x\r\nx-tenant: acme\r\n\r\n');
    await until(() => closed, 'the cut', 10);
    assert.ok(sent < 64 << 20, `${sent} bytes were read`);
    socket.destroy();
  }, { QUORATE_STALL_SECONDS: '1' });
});

test('a breaker opens, lets one through, and closes', () => {
  let now = 0;
  const breaker = new Breaker(2, 10, () => now);
  breaker.enter()('bad');
  breaker.enter()('good');
  breaker.enter()('bad');
  assert.equal(breaker.state, 'closed');
  breaker.enter()('bad');
  assert.deepEqual([breaker.state, breaker.enter()], ['open', undefined]);
  now = 10;
  const probe = breaker.enter();
  assert.equal(breaker.enter(), undefined);
  probe('bad');
  assert.equal(breaker.state, 'open');
  now = 20;
  breaker.enter()('unknown');
  breaker.enter()('good');
  assert.equal(breaker.state, 'closed');
});

test('a cache is bounded in bytes, and answers grow old', () => {
  let now = 0;
  const cache = new Cache(10_000, () => now);
  for (let i = 0; i < 100; i++) cache.put(`t /${i} `, { status: 200, headers: {}, body: Buffer.alloc(1000) }, 60);
  assert.ok(cache.bytes <= 10_000 && cache.size < 10);
  cache.put('t /large ', { status: 200, headers: {}, body: Buffer.alloc(20_000) }, 60);
  assert.equal(cache.get('t /large '), undefined);
  now = 5;
  assert.equal(cache.get('t /99 ').age, 5);
  now = 60;
  for (let i = 0; i < 100; i++) assert.equal(cache.get(`t /${i} `), undefined);
  cache.put('t /a ', { status: 200, headers: {}, body: Buffer.alloc(10) }, 60);
  cache.put('tt /a ', { status: 200, headers: {}, body: Buffer.alloc(10) }, 60);
  cache.forget('t');
  assert.equal(cache.size, 1);
  cache.forget('tt');
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
  const fresh = (headers, status = 200) => freshness(status, headers);
  assert.deepEqual([fresh({ 'cache-control': 's-maxage=5, max-age=9' }), fresh({ 'cache-control': 'public, max-age=9', age: '4' }), fresh({ 'cache-control': 'public, max-age=9' }, 404)], [5, 5, 0]);
  assert.deepEqual([fresh({ 'cache-control': 'public, max-age=9', vary: 'cookie' }), fresh({ 'cache-control': 'public, max-age=x' }), fresh({ 'cache-control': 'public, max-age=9', 'set-cookie': ['a'] })], [0, 0, 0]);
});
