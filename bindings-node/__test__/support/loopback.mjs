// A server on this machine that answers as a test says, counts what it is asked, and sees when a connection goes.

import { once } from 'node:events';
import { createServer } from 'node:http';

/** A whole answer of the chat-completions interface. */
export function reply(content = '5 mg', { message = {}, finish = 'stop' } = {}) {
  const choice = { index: 0, message: { role: 'assistant', content, ...message }, finish_reason: finish };
  const usage = { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 };
  return { body: JSON.stringify({ id: 'x', model: 'm-1', choices: [choice], usage }) };
}

/** One event of a streamed answer. */
export function event(delta, finish = null) {
  return `data: ${JSON.stringify({ id: 'x', model: 'm-1', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
}

/** A streamed answer, a text an event. */
export function stream(...texts) {
  const usage = `data: ${JSON.stringify({ id: 'x', choices: [], usage: { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 } })}\n\n`;
  const body = texts.map((content) => event({ content })).join('') + event({}, 'stop') + usage + 'data: [DONE]\n\n';
  return { body, kind: 'text/event-stream' };
}

/** A refusal. */
export function refusal(status, message = 'no', type = 'error', headers = {}) {
  return { status, headers, body: JSON.stringify({ error: { message, type, code: type } }) };
}

/**
 * Runs `work` with a server. `answer`: one for all requests, an array of one for each (the last is repeated), or a function of
 * (n, body). An answer with `cut` breaks off after so many bytes, one with `hang` stays open.
 */
export async function withServer(answer, work) {
  const asked = [];
  const headers = [];
  let leave;
  const gone = new Promise((resolve) => (leave = resolve));
  const server = createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(pieces).toString());
      const n = asked.push(body) - 1;
      headers.push(request.headers);
      const given = typeof answer === 'function' ? answer(n, body) : Array.isArray(answer) ? answer[Math.min(n, answer.length - 1)] : answer;
      const whole = Buffer.from(given.body ?? '');
      response.writeHead(given.status ?? 200, { 'content-type': given.kind ?? 'application/json', ...given.headers });
      response.on('close', () => !response.writableEnded && leave());
      if (given.cut !== undefined) response.write(whole.subarray(0, given.cut), () => setImmediate(() => request.socket.destroy()));
      else if (given.hang) response.write(whole);
      else response.end(whole);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work({ url: `http://127.0.0.1:${server.address().port}/v1`, asked, headers, gone });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
