// What do the tests of runs share?

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { ScriptedModel } from 'quorate';

/** What is never answered, though somebody could: what nobody can answer any more is given up when it is collected. */
const held = [];
export const never = () => new Promise((resolve) => held.push(resolve));

/** A reply that calls tools: `[name, arguments]` each. */
export const calls = (...made) => ({ toolCalls: made.map(([name, args = {}], i) => ({ id: `c${i}`, name, arguments: args })) });

/** What tools gave, out of the fence around it. */
const unfenced = (content) => /^<tool_result tool="[^"]+">\n(.*)\n<\/tool_result>$/s.exec(content)?.[1] ?? content;

/** What the tools gave, by the id of the call. */
export const results = (request) =>
  Object.fromEntries(
    request.messages
      .flatMap((message) => (Array.isArray(message.content) ? message.content : []))
      .filter((part) => part.type === 'tool_result')
      .map((part) => [part.tool_call_id, unfenced(part.content)]),
  );

/** A model that calls tools, then says what they gave as JSON. */
export const relay = (...made) => new ScriptedModel((request) => (Object.keys(results(request)).length > 0 ? JSON.stringify(results(request)) : calls(...made)));
export const relayed = (answer) => JSON.parse(answer.text);

/** All events of a stream. */
export async function all(events) {
  const found = [];
  for await (const one of events) found.push(one);
  return found;
}

/** Runs a program of its own; gives its exit code, and what it said. */
export async function program(code, args = [], type = 'module') {
  const argv = [`--input-type=${type}`, '-e', code, ...args];
  const options = { cwd: new URL('../..', import.meta.url), timeout: 60_000 };
  return promisify(execFile)(process.execPath, argv, options).then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout.trim(), errors: stderr.trim() }),
    (error) => ({ code: error.code ?? error.signal, said: error.stdout.trim(), errors: error.stderr.trim() }),
  );
}
