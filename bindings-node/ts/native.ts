// Where is the native half?

import type * as Native from '../native.js';
import { builtin } from './builtin.js';

const { existsSync, readFileSync } = builtin('node:fs');
const { createRequire } = builtin('node:module');
const { dirname, join, resolve } = builtin('node:path');

/** @internal The name of this platform, as in `quorate.<platform>.node` and `quorate-<platform>`. */
export function platform(): string {
  const { platform, arch } = process;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
}

function isMusl(): boolean {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl');
  } catch {
    return false;
  }
}

/** @internal The folders where the addon, and packages, may lie: beside the package, beside the bundle that the package was made part of. */
export function folders(): string[] {
  const here = typeof __dirname === 'string' ? [join(__dirname, '..'), __dirname] : [];
  const main = process.argv[1] === undefined ? [] : [dirname(resolve(process.argv[1]))];
  return [...here, ...main];
}

function load(): typeof Native {
  const name = platform();
  const file = `quorate.${name}.node`;
  // A bundler's own `require` does not load addons.
  const from = (folder: string) => createRequire(join(folder, 'quorate.js'));
  const given = process.env['QUORATE_NATIVE'];
  if (given) return from(process.cwd())(resolve(given)) as typeof Native;
  const places = folders();
  for (const folder of places) {
    const beside = join(folder, file);
    if (existsSync(beside)) return from(folder)(beside) as typeof Native;
  }
  const causes: unknown[] = [];
  for (const folder of [...places, process.cwd()]) {
    for (const wanted of [`quorate-${name}`, 'quorate/package.json']) {
      try {
        const found = from(folder).resolve(wanted);
        const addon = wanted.startsWith('quorate/') ? join(dirname(found), file) : found;
        if (existsSync(addon)) return from(folder)(addon) as typeof Native;
      } catch (cause) {
        causes.push(cause);
      }
    }
  }
  throw new Error(
    `quorate has no native build for ${name}: neither ${file} in ${places.join(' or ')} nor the package quorate-${name} is there. ` +
      'In a bundle, leave quorate out of it (esbuild: --external:quorate), or copy the file beside the bundle, or name it in ' +
      'the environment variable QUORATE_NATIVE. In a checkout, run `npm run build` in bindings-node',
    { cause: causes[0] },
  );
}

/** @internal */
export const native: typeof Native = load();
