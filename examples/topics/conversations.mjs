// How does an expert know what was said before, and how is it forgotten?

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Runtime, ScriptedModel } from 'quorate';

/**
 * A script stands for the model: it says what the person has told.
 * @param {import('quorate').ScriptedRequest} request
 */
const say = (request) => {
  const told = request.messages.filter((message) => message.role === 'user').map((message) => message.content);
  return `You said ${told.length} things; the first was: ${told[0]}`;
};

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
const runtime = new Runtime({ model: new ScriptedModel(say), store: folder });
const talk = await runtime.conversation({ id: 'ward-7', user: 'ana' });
console.log((await runtime.ask('I take metformin.', { conversation: talk })).text);
console.log((await runtime.ask('Is that all right?', { conversation: talk })).text);

// It is on the disk: another process goes on with it.
const other = new Runtime({ model: new ScriptedModel(say), store: folder });
const again = await other.conversation({ id: 'ward-7', user: 'ana' });
console.log('messages:', (await again.messages()).length);

// What is worth keeping of a person, with its source.
await runtime.memory.remember('ana', 'Allergic to penicillin.', { source: 'chart' });
await runtime.memory.remember('ana', 'Walks to work.');
for (const fact of await runtime.memory.recall('ana', 'May she have penicillin?', { k: 1 })) console.log(fact.text, `(${fact.source})`);

// Forgotten is gone, from the disk too.
console.log('forgotten facts:', await runtime.memory.forget('ana'));
await talk.forget();
console.log('messages:', (await talk.messages()).length);
await rm(folder, { recursive: true, force: true });
