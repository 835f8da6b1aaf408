// The official TypeScript client uses the server: over stdio and over HTTP.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const target = process.env.CARGO_TARGET_DIR || path.join(os.homedir(), '.cache', 'quorate', 'target')
const host = path.join(target, 'release', 'examples', 'host')
const [ACME, GLOBEX] = ['token-of-acme-0123456789', 'token-of-globex-0123456789']

let server
let url
before(async () => {
  const tokens = ['--token', `${ACME}=acme`, '--token', `${GLOBEX}=globex`]
  server = spawn(host, ['serve', '--http', '127.0.0.1:0', '--slow', '300', ...tokens])
  server.stderr.pipe(process.stderr)
  const [line] = await once(createInterface({ input: server.stdout }), 'line')
  url = new URL(`http://${line.trim()}/mcp`)
})
after(async () => {
  server.stdin.end()
  const [code] = await once(server, 'exit')
  assert.equal(code, 0)
})

async function connected(transport, use) {
  const client = new Client({ name: 'test', version: '1.0.0' })
  await client.connect(transport)
  try {
    await use(client)
  } finally {
    await client.close()
  }
}

function overHttp(token) {
  return new StreamableHTTPClientTransport(url, { requestInit: { headers: { Authorization: `Bearer ${token}` } } })
}

// What a caller of the tenant acme finds.
async function usesEverything(client) {
  assert.equal(client.getServerVersion().name, 'quorate')
  await client.ping()
  const { tools } = await client.listTools()
  assert.deepEqual(tools.map((tool) => tool.name), ['search', 'context', 'get', 'match', 'ask', 'panel'])
  // The client checks each result against the schema of the tool.
  const found = await client.callTool({ name: 'search', arguments: { query: 'codename of the compound', k: 1 } })
  assert.equal(found.structuredContent.hits[0].doc_id, 'secret')
  const context = await client.callTool({ name: 'context', arguments: { question: 'What lowers blood pressure?' } })
  assert.equal(context.structuredContent.citations[0].marker, '[1]')
  await client.callTool({ name: 'get', arguments: { id: 'metformin', max_bytes: 5 } })
  await client.callTool({ name: 'match', arguments: { question: 'Is a 510(k) needed?' } })
  const wrong = await client.callTool({ name: 'search', arguments: { query: 'a', k: 0 } })
  assert.ok(wrong.isError)
  assert.equal(wrong.structuredContent.code, 'invalid_argument')
  const { resources } = await client.listResources()
  assert.deepEqual(resources.map((one) => one.name).sort(), ['metformin', 'secret'])
  const read = await client.readResource({ uri: 'quorate://doc/secret' })
  assert.match(read.contents[0].text, /BLUEBIRD/)
  await assert.rejects(client.readResource({ uri: 'quorate://doc/other' }), { code: -32002 })
  const prompt = await client.getPrompt({ name: 'answer_with_sources', arguments: { question: 'What is the codename?' } })
  assert.match(prompt.messages[0].content.text, /BLUEBIRD/)
  const ref = { type: 'ref/prompt', name: 'ask_expert' }
  const { completion } = await client.complete({ ref, argument: { name: 'agent', value: '' } })
  assert.ok(completion.values.length > 5)
  const first = completion.values[0]
  const some = await client.complete({ ref, argument: { name: 'agent', value: first.slice(0, 4) } })
  assert.ok(some.completion.values.includes(first))
}

test('over stdio', async () => {
  const transport = new StdioClientTransport({ command: host, args: ['serve', '--tenant', 'acme'], stderr: 'inherit' })
  await connected(transport, async (client) => {
    await usesEverything(client)
    const heard = []
    const onprogress = (told) => heard.push(told.progress)
    const asked = await client.callTool({ name: 'ask', arguments: { question: 'What is the codename?' } }, undefined, { onprogress })
    assert.match(asked.structuredContent.text, /BLUEBIRD/)
    assert.ok(heard.length > 0)
  })
})

test('over HTTP', async () => {
  await connected(overHttp(ACME), async (client) => {
    await usesEverything(client)
    const heard = []
    const onprogress = (told) => heard.push(told.message)
    const asked = await client.callTool({ name: 'ask', arguments: { question: 'Is a 510(k) needed for our ECG app?' } }, undefined, { onprogress })
    assert.equal(asked.structuredContent.status, 'done')
    assert.match(heard.join(''), /run start/)
    const panel = await client.callTool({ name: 'panel', arguments: { question: 'Is it safe?', size: 2 } }, undefined, { onprogress })
    assert.equal(panel.structuredContent.members.length, 2)
  })
})

test('a cancelled call ends, and the session goes on', async () => {
  await connected(overHttp(ACME), async (client) => {
    const stop = new AbortController()
    const asked = client.callTool({ name: 'ask', arguments: { question: 'Is a 510(k) needed for our ECG app?' } }, undefined, { signal: stop.signal })
    setTimeout(() => stop.abort('enough'), 100)
    await assert.rejects(asked)
    const found = await client.callTool({ name: 'search', arguments: { query: 'metformin' } })
    assert.ok(!found.isError)
  })
})

test('other tenants, other tokens, other sessions', async () => {
  await connected(overHttp(GLOBEX), async (client) => {
    const { resources } = await client.listResources()
    assert.deepEqual(resources.map((one) => one.name), ['other'])
  })
  await assert.rejects(new Client({ name: 'test', version: '1.0.0' }).connect(overHttp('wrong-token-0123456789')))
})
