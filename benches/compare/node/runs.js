// What does a run cost above its model from Node? Two model calls and one tool, beside Vercel's AI SDK, with the same scripted model.
//
//     node runs.js [RUNS] [ROUNDS]
//
// Each has a model that answers at once from memory: first a call of the tool `lookup`, then a text. Times are medians of rounds in
// microseconds a run; the last line is a JSON object with all numbers.

import assert from 'node:assert/strict';
import { generateText, stepCountIs, tool as aiTool } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { Runtime, ScriptedModel, tool } from 'quorate';
import { z } from 'zod';

const QUESTION = 'What is C1725?';
const ANSWER = 'It is a catheter.';

function ours() {
  const lookup = tool({ name: 'lookup', description: 'What a code means.', schema: z.object({ code: z.string() }), run: () => 'a catheter' });
  const say = ({ messages }) =>
    messages.at(-1).role === 'tool' ? ANSWER : { toolCalls: [{ id: 'c1', name: 'lookup', arguments: { code: 'C1725' } }] };
  const runtime = new Runtime({ model: new ScriptedModel(say), tools: [lookup] });
  return async () => assert.equal((await runtime.ask(QUESTION)).text, ANSWER);
}

function aiSdk() {
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
  const model = new MockLanguageModelV3({
    doGenerate: async ({ prompt }) =>
      prompt.at(-1).role === 'tool'
        ? { finishReason: { unified: 'stop' }, usage, content: [{ type: 'text', text: ANSWER }], warnings: [] }
        : {
            finishReason: { unified: 'tool-calls' },
            usage,
            content: [{ type: 'tool-call', toolCallId: 'c1', toolName: 'lookup', input: '{"code":"C1725"}' }],
            warnings: [],
          },
  });
  const lookup = aiTool({ description: 'What a code means.', inputSchema: z.object({ code: z.string() }), execute: async () => 'a catheter' });
  return async () => {
    // A mock keeps all that it was asked.
    model.doGenerateCalls.length = 0;
    const { text } = await generateText({ model, tools: { lookup }, stopWhen: stepCountIs(5), prompt: QUESTION });
    assert.equal(text, ANSWER);
  };
}

async function measured(run, runs, rounds) {
  for (let i = 0; i < 20; i += 1) await run();
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const begun = performance.now();
    for (let i = 0; i < runs; i += 1) await run();
    times.push(((performance.now() - begun) / runs) * 1000);
  }
  return times.sort((a, b) => a - b)[rounds >> 1];
}

const [runs, rounds] = [Number(process.argv[2] ?? 500), Number(process.argv[3] ?? 7)];
const found = { quorate: await measured(ours(), runs, rounds), 'AI SDK': await measured(aiSdk(), Math.ceil(runs / 5), rounds) };
console.log(`quorate: ${found.quorate.toFixed(0)} us a run of two model calls and one tool`);
console.log(`AI SDK: ${found['AI SDK'].toFixed(0)} us, ${(found['AI SDK'] / found.quorate).toFixed(1)} times quorate's`);
console.log(JSON.stringify(found));
process.exit(0);
