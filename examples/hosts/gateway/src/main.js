// Runs the gateway; README.md says which variables it reads.

import { createApp } from './app.js';
import { DEFAULTS, fromEnvironment } from './settings.js';

const { host, port, ...settings } = await fromEnvironment(process.env);
const app = await createApp({
  ...settings,
  log: true,
  // What still runs is in its journal as far as it is, and goes on when somebody resumes it.
  stuck: () => {
    app.log.info('some runs go on; they are interrupted, and can be resumed');
    process.exit(0);
  },
});

// Answers what it has begun, takes nothing new, lets go of the files; then nothing keeps the process alive.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    app.log.info(`${signal}: closing`);
    // What neither ends nor can be let go of does not keep the process for ever.
    setTimeout(() => process.exit(1), 1000 * (2 * (settings.graceSeconds ?? DEFAULTS.graceSeconds) + 10)).unref();
    app.close().catch((error) => {
      app.log.error(error);
      process.exitCode = 1;
    });
  });
}

await app.listen({ host, port });
