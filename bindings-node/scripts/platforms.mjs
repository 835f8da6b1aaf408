// Lays out the packages that are published: one for each platform with its addon, and the main one that asks for them.
//
//     node scripts/platforms.mjs            writes npm/<platform>/package.json, and copies the addons that are beside package.json
//     node scripts/platforms.mjs --publish  also names the platforms' packages in the main package.json, as optional dependencies
//
// A release builds the addon on each platform (QUORATE_PROFILE=dist npm run build:native), gathers the files here, runs this with
// --publish, and publishes npm/* before the main package.

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PLATFORMS = {
  'linux-x64-gnu': { os: 'linux', cpu: 'x64', libc: 'glibc' },
  'linux-arm64-gnu': { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  'linux-x64-musl': { os: 'linux', cpu: 'x64', libc: 'musl' },
  'darwin-x64': { os: 'darwin', cpu: 'x64' },
  'darwin-arm64': { os: 'darwin', cpu: 'arm64' },
  'win32-x64': { os: 'win32', cpu: 'x64' },
};

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const file = join(here, 'package.json');
const main = JSON.parse(readFileSync(file, 'utf8'));

for (const [platform, { os, cpu, libc }] of Object.entries(PLATFORMS)) {
  const folder = join(here, 'npm', platform);
  const addon = `quorate.${platform}.node`;
  const manifest = {
    name: `quorate-${platform}`,
    version: main.version,
    description: `The native half of quorate for ${platform}`,
    license: main.license,
    repository: main.repository,
    main: addon,
    files: [addon],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    engines: main.engines,
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  if (existsSync(join(here, addon))) copyFileSync(join(here, addon), join(folder, addon));
}

if (process.argv.includes('--publish')) {
  main.optionalDependencies = Object.fromEntries(Object.keys(PLATFORMS).map((platform) => [`quorate-${platform}`, main.version]));
  writeFileSync(file, `${JSON.stringify(main, null, 2)}\n`);
}
