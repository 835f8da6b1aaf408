// Runs the gateway: QUORATE_FOLDER (./quorate-data), HOST (127.0.0.1), PORT (8080), QUORATE_READ_ONLY.

import { createApp } from './app.js';

const { QUORATE_FOLDER = 'quorate-data', HOST = '127.0.0.1', PORT = '8080', QUORATE_READ_ONLY } = process.env;
const app = await createApp({ folder: QUORATE_FOLDER, readOnly: Boolean(QUORATE_READ_ONLY), log: true });

// Answers what it has begun, takes nothing new, lets go of the files; then nothing keeps the process alive.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    app.log.info(`${signal}: closing`);
    app.close().catch((error) => {
      app.log.error(error);
      process.exitCode = 1;
    });
  });
}

await app.listen({ host: HOST, port: Number(PORT) });
