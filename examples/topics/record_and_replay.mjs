// How do tests get a model's real answers without asking it again? Record once, replay for ever.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { QuorateError, ScriptedModel, record, replay } from 'quorate';

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
try {
  const file = join(folder, 'case.jsonl');

  // Every request to a model in this process, and its answer, is written to the file. Keys of services never are, and
  // neither are the values of the fields that `redact` names.
  let model = new ScriptedModel(['5 mg'], { id: 'scripted:doses' });
  const recording = await record(file, { redact: ['patient'] });
  console.log('recorded:', (await model.complete('Which dose?')).text);
  await recording.close();
  console.log('lines in the file:', (await readFile(file, 'utf8')).trimEnd().split('\n').length);

  // The same request is answered from the file; nothing is sent. This model has no reply of its own.
  model = new ScriptedModel([], { id: 'scripted:doses' });
  let replaying = await replay(file);
  console.log('replayed:', (await model.complete('Which dose?')).text);
  await replaying.close();

  // Another request is an error that tells the difference.
  replaying = await replay(file);
  try {
    await model.complete('Which drug?');
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    console.log('refused:', error.code);
  } finally {
    await replaying.close();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
