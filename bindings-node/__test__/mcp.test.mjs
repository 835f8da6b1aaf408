// Are the tools of an MCP server tools of a runtime, and does no process of a server outlive its use?

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { McpTools, QuorateError, Runtime, ScriptedModel, mcpTools } from 'quorate';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SCRIPTED = here('../../agents/mcp/tests/servers/stdio.py');
const OFFICIAL = here('support/official.mjs');
const folder = mkdtempSync(join(tmpdir(), 'quorate-mcp-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let logs = 0;
const newLog = () => join(folder, `log${logs++}`);
const scripted = (log, mode = 'normal', options = {}) => mcpTools({ command: ['python3', SCRIPTED, mode, log], ...options });
const entries = (log, event) =>
  (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []).filter((entry) => entry.event === event);

async function wait(look) {
  const until = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < until);
    await new Promise((done) => setTimeout(done, 10));
  }
}

function runs(pid) {
  try {
    return !'ZX'.includes(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)[0]);
  } catch {
    return false;
  }
}

/** A model that makes one call after the other. */
function asks(calls) {
  return new ScriptedModel((request) => {
    const done = request.messages.filter((message) => message.role === 'tool').length;
    if (done === calls.length) return 'end';
    const [name, args] = calls[done];
    return { toolCalls: [{ id: `c${done}`, name, arguments: args }] };
  });
}

/** What came of each call, as [content, error], and the sentences of warnings. */
async function results(tools, calls, approve = () => 'approve') {
  const runtime = new Runtime({ model: asks(calls), tools, approve });
  const [came, warnings] = [[], []];
  for await (const event of runtime.stream.ask('go')) {
    if (event.type === 'tool_result') came.push([event.content, event.error]);
    if (event.type === 'warning') warnings.push(event.message);
  }
  return { came, warnings };
}

test('a handle and its tools are tools', async () => {
  const tools = await scripted(newLog(), 'normal', { prefix: 's_', include: ['lookup', 'send', 'structured'] });
  assert.ok(tools instanceof McpTools);
  assert.deepEqual(tools.names, ['s_lookup', 's_send', 's_structured']);
  assert.deepEqual([...tools].map((one) => [one.name, one.card.effect]), [['s_lookup', 'read'], ['s_send', 'write'], ['s_structured', 'read']]);
  assert.equal(tools.server, 'python3');
  for (const given of [[tools], [...tools]]) {
    const { came } = await results(given, [['s_lookup', { code: 'C17' }], ['s_structured', {}]]);
    assert.deepEqual(came, [['C17 means catheter', null], ['{"code":"C17","year":2025}', null]]);
  }
  await tools.close();
  assert.ok(tools.closed);
  const { came } = await results([tools], [['s_lookup', { code: 'C17' }]]);
  assert.equal(came[0][1], 'tool_failed');
  await assert.rejects(tools.refresh(), { code: 'closed' });
});

test('changes are announced, and refused until they are accepted', async () => {
  const tools = await scripted(newLog());
  const { came, warnings } = await results([tools], [['grow', {}], ['rug', {}], ['lookup', { code: 'C17' }]]);
  assert.equal(came[2][1], 'approval_required');
  assert.match(warnings[0], /came: extra; went: picture/);
  assert.match(warnings[1], /lookup \(description\)/);
  assert.deepEqual(tools.refused, { lookup: 'description' });
  assert.ok(tools.names.includes('extra') && !tools.names.includes('picture'));
  const changes = await tools.refresh();
  assert.deepEqual(changes, { added: [], removed: [], changed: { lookup: 'description' } });
  assert.deepEqual(tools.refused, {});
  assert.deepEqual(tools.leftOut, {});
  const again = await results([tools], [['lookup', { code: 'C17' }], ['extra', {}]]);
  assert.deepEqual(again.came, [['C17 means catheter', null], ['done extra', null]]);
  await tools.close();
});

test('failures have their codes', async () => {
  for (const wrong of [{}, { command: ['a'], url: 'http://h' }, { command: 'node server.js' }, { command: ['a'], timeout: 'long' }, { command: ['a'], startTimeout: 0 },
    { command: ['a'], effects: { x: 'delete' } }, { url: 'http://h', headers: { a: 'b\nc' } }, { command: ['a'], start_timeout: 1 }]) {
    await assert.rejects(mcpTools(wrong), { code: 'invalid_argument' }, JSON.stringify(wrong));
  }
  await assert.rejects(scripted(newLog(), 'exit', { startTimeout: 20 }), (error) => error instanceof QuorateError && error.code === 'tool_failed' && /no configuration found/.test(error.message));
  await assert.rejects(scripted(newLog(), 'silent', { startTimeout: 1 }), { code: 'tool_timeout' });
  const log = newLog();
  const tools = await scripted(log, 'normal', { timeout: 2, name: 'codes' });
  const { came } = await results([tools], [['fail', {}], ['invalid', {}], ['slow', { seconds: 30 }]]);
  assert.deepEqual(came.map(([, error]) => error), ['tool_failed', 'tool_arguments', 'tool_timeout']);
  assert.match(came[0][0], /'codes'/);
  await wait(() => entries(log, 'cancelled').length);
  await tools.close();
});

test('a signal stops the start, and the call of a run', async () => {
  await assert.rejects(scripted(newLog(), 'deaf', { signal: AbortSignal.timeout(300) }), { code: 'cancelled' });
  const log = newLog();
  const tools = await scripted(log);
  const abort = new AbortController();
  const runtime = new Runtime({ model: asks([['slow', { seconds: 30 }]]), tools: [tools] });
  const asked = runtime.ask('go', { signal: abort.signal });
  await wait(() => entries(log, 'call').length);
  abort.abort();
  await asked.catch(() => {});
  await wait(() => entries(log, 'stopped').length);
  await tools.close();
});

test('the exit of the host ends its servers', { skip: process.platform !== 'linux' }, async () => {
  const log = newLog();
  const script = `
    import { Runtime, ScriptedModel, mcpTools } from 'quorate';
    const tools = await mcpTools({ command: ['python3', ${JSON.stringify(SCRIPTED)}, 'stubborn', ${JSON.stringify(log)}] });
    const model = new ScriptedModel([{ toolCalls: [{ id: 'a', name: 'spawn', arguments: {} }] }, 'end']);
    await new Runtime({ model, tools: [tools] }).ask('go');
    process.exit(0);`;
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: here('..'), timeout: 120_000 });
  const [{ pid }] = entries(log, 'call');
  await wait(() => !runs(pid));
});

/** Has a program of its own run; gives how long it took, in milliseconds. */
function host(script, options = {}) {
  const begun = Date.now();
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: here('..'), timeout: 60_000, ...options });
  return Date.now() - begun;
}

const opened = (log, timeout = 30) => `
  import { Runtime, ScriptedModel, mcpTools } from 'quorate';
  const tools = await mcpTools({ command: ['python3', ${JSON.stringify(SCRIPTED)}, 'stubborn', ${JSON.stringify(log)}], timeout: ${timeout} });
  const slow = [{ toolCalls: [{ id: 'a', name: 'slow', arguments: { seconds: 60 } }] }, 'end'];
  const runtime = new Runtime({ model: new ScriptedModel(slow), tools: [tools] });`;

test('an open server holds no process, and neither does a call under way', { skip: process.platform !== 'linux' }, async () => {
  const idle = newLog();
  assert.ok(host(`${opened(idle)}\n await new Runtime({ model: new ScriptedModel([{ toolCalls: [{ id: 'a', name: 'store', arguments: {} }] }, 'end']), tools: [tools], approve: () => 'approve' }).ask('go');`) < 15_000);
  const busy = newLog();
  const until = `
    import { existsSync, readFileSync } from 'node:fs';
    ${opened(busy)}
    const log = ${JSON.stringify(busy)};
    runtime.ask('go').catch(() => {});
    while (!(existsSync(log) && readFileSync(log, 'utf8').includes('"call"'))) await new Promise((done) => setTimeout(done, 10));
    process.exit(0);`;
  assert.ok(host(until) < 15_000);
  for (const log of [idle, busy]) {
    const [{ pid }] = entries(log, 'call');
    await wait(() => !runs(pid));
  }
});

test('a worker that is ended takes its server with it, and nothing else', { skip: process.platform !== 'linux' }, async () => {
  const [log, mine] = [newLog(), newLog()];
  const tools = await scripted(mine);
  // A call that is under way ends by its time.
  const work = `${opened(log, 4)}\n runtime.ask('go').catch(() => {});`.replace("'quorate'", JSON.stringify(import.meta.resolve('quorate')));
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(work)}`));
  await wait(() => entries(log, 'call').length);
  const [{ pid }] = entries(log, 'call');
  await worker.terminate();
  await wait(() => !runs(pid));
  const { came } = await results([tools], [['lookup', { code: 'C17' }]]);
  assert.deepEqual(came, [['C17 means catheter', null]]);
  await tools.close();
});

async function official(tools) {
  const { came } = await results([tools], [['lookup', { code: 'C17' }], ['codes', {}], ['broken', {}], ['send', { to: 'ann' }]]);
  assert.deepEqual([came[0], came[1], came[3]], [['C17 means catheter', null], ['{"C17":2}', null], ['sent to ann', null]]);
  assert.equal(came[2][1], 'tool_failed');
  assert.match(came[2][0], /no such code/);
  await results([tools], [['grow', {}], ['rug', {}]]);
  await wait(() => tools.names.includes('fresh') && tools.refused.lookup);
  const after = await results([tools], [['fresh', {}], ['lookup', { code: 'C17' }]]);
  assert.deepEqual(after.came.map(([, error]) => error), [null, 'approval_required']);
  await tools.close();
}

test('the official SDK over stdio', async () => {
  await official(await mcpTools({ command: [process.execPath, OFFICIAL, 'stdio'], startTimeout: 60 }));
});

test('the official SDK over HTTP', async () => {
  const start = (port) => spawn(process.execPath, [OFFICIAL, 'http', port], { stdio: ['ignore', 'pipe', 'inherit'] });
  const says = async (server) => (await once(createInterface(server.stdout), 'line'))[0];
  let server = start('0');
  try {
    const port = await says(server);
    await official(await mcpTools({ url: `http://127.0.0.1:${port}/mcp` }));
    const tools = await mcpTools({ url: `http://127.0.0.1:${port}/mcp`, timeout: 20 });
    // Another process at the same place knows nothing of the session, and says so in a way of its own.
    server.kill();
    await once(server, 'exit');
    server = start(port);
    await says(server);
    const begun = Date.now();
    const { came } = await results([tools], [['lookup', { code: 'C17' }], ['send', { to: 'ann' }]]);
    assert.deepEqual(came, [['C17 means catheter', null], ['sent to ann', null]]);
    assert.ok(Date.now() - begun < 10_000);
    await tools.close();
  } finally {
    server.kill();
  }
});
