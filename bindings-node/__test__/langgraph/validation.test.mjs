// Is a state store a checkpointer of LangGraph.js, by LangGraph's own suite? `npm run test:langgraph`.

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { validate } from '@langchain/langgraph-checkpoint-validation';

// As Node has it, and not as vitest makes a package of the sources beside its tests.
const { StateStore, workflows } = createRequire(import.meta.url)('quorate');

const folders = new WeakMap();

for (const kind of ['memory', 'disk']) {
  validate({
    checkpointerName: `quorate ${kind}`,
    async createCheckpointer() {
      const folder = kind === 'disk' ? mkdtempSync(join(tmpdir(), 'quorate-langgraph-')) : undefined;
      const saver = new workflows.LangGraphSaver(await StateStore.open(folder, { durability: 'async' }));
      folders.set(saver, folder);
      return saver;
    },
    async destroyCheckpointer(saver) {
      await saver.store.close();
      const folder = folders.get(saver);
      if (folder) rmSync(folder, { recursive: true });
    },
  });
}
