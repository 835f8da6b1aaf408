#!/usr/bin/env node
// How is the command line run: `npx quorate`?

import { native } from './native.js';

const INTERRUPTED = 130;

const cancel = new native.Cancel();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  let came = false;
  process.on(signal, () => {
    // The second one is not waited for.
    if (came) process.exit(INTERRUPTED);
    came = true;
    cancel.cancel();
  });
}

native.commandLine(process.argv.slice(2), cancel).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
