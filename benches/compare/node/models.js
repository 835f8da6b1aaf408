// What does a language model cost above the wire from Node: a whole answer, and a streamed chunk, beside OpenAI's own package?
//
//     node models.js [CALLS] [CHUNKS]
//
// A server of this machine, in a thread of its own, answers with bytes that were made before. `bare` is a request of Node's own HTTP
// client on a kept connection, read to its end. Times are medians in microseconds; the last line is a JSON object with all numbers.

import { Agent, createServer, request } from 'node:http';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

if (isMainThread) await main();
else serve(workerData);

function serve(chunks) {
  const chunk = (delta, finish) => {
    const choices = [{ index: 0, delta, finish_reason: finish }];
    return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices })}\n\n`;
  };
  const pieces = Array.from({ length: chunks }, (_, i) => chunk({ content: `word${i} ` }, null));
  const stream = [...pieces, chunk({}, 'stop'), 'data: [DONE]\n\n'].join('');
  const choices = [{ index: 0, message: { role: 'assistant', content: '5 mg once a day.' }, finish_reason: 'stop' }];
  const usage = { prompt_tokens: 9, completion_tokens: 6, total_tokens: 15 };
  const whole = JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage });
  const server = createServer((asked, answer) => {
    let body = '';
    asked.on('data', (data) => (body += data));
    asked.on('end', () => {
      const streamed = JSON.parse(body).stream === true;
      answer.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' });
      answer.end(streamed ? stream : whole);
    });
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}

async function median(calls, work) {
  for (let i = 0; i < 20; i++) await work();
  const times = [];
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    await work();
    times.push((performance.now() - start) * 1000);
  }
  return times.sort((a, b) => a - b)[calls >> 1];
}

async function main() {
  const [calls, chunks] = [Number(process.argv[2] ?? 2000), Number(process.argv[3] ?? 2000)];
  const { Model } = await import('quorate');
  const { default: OpenAI } = await import('openai');
  const server = new Worker(new URL(import.meta.url), { workerData: chunks });
  const port = await new Promise((found) => server.once('message', found));
  const baseURL = `http://127.0.0.1:${port}/v1`;
  const model = new Model('openai:m', { baseUrl: baseURL, apiKey: 'k' });
  const openai = new OpenAI({ baseURL, apiKey: 'k', maxRetries: 0 });
  const messages = [{ role: 'user', content: 'Which dose?' }];
  const agent = new Agent({ keepAlive: true });
  const body = JSON.stringify({ model: 'm', messages });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const bare = () =>
    new Promise((done, failed) => {
      const asked = request({ host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', agent, headers }, (answer) => {
        answer.on('data', () => {});
        answer.on('end', done);
      });
      asked.on('error', failed);
      asked.end(body);
    });
  const counted = async (events, isText) => {
    let n = 0;
    for await (const event of events) n += isText(event) ? 1 : 0;
    if (n !== chunks) throw new Error(`${n} chunks of ${chunks}`);
  };
  const found = {};
  // In turns, since other programs of the machine slow down one as much as the others.
  for (let round = 0; round < 3; round++) {
    const least = async (name, n, work) => (found[name] = Math.min(found[name] ?? Infinity, await median(n, work)));
    await least('bare', calls, bare);
    await least('whole', calls, () => model.complete(messages));
    await least('openai whole', calls, () => openai.chat.completions.create({ model: 'm', messages }));
    const streams = Math.max(5, calls / 200);
    await least('stream', streams, () => counted(model.stream(messages), (event) => event.type === 'text'));
    const theirs = () => openai.chat.completions.create({ model: 'm', messages, stream: true });
    await least('openai stream', streams, async () => counted(await theirs(), (event) => Boolean(event.choices[0].delta.content)));
  }
  found['whole above bare'] = found.whole - found.bare;
  found.chunk = found.stream / chunks;
  found['openai chunk'] = found['openai stream'] / chunks;
  for (const [name, value] of Object.entries(found)) console.log(`${name.padEnd(20)} ${value.toFixed(2).padStart(10)}`);
  console.log(JSON.stringify(found));
  agent.destroy();
  await server.terminate();
  process.exit(0);
}
