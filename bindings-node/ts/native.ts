// Where is the native half?

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type * as Native from '../native.js';

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

function load(): typeof Native {
  const name = platform();
  const beside = join(__dirname, '..', `quorate.${name}.node`);
  if (existsSync(beside)) return require(beside) as typeof Native;
  try {
    return require(`quorate-${name}`) as typeof Native;
  } catch (cause) {
    throw new Error(
      `quorate has no native build for ${name}: neither ${beside} nor the package quorate-${name} can be loaded; ` +
        'run `npm run build` in bindings-node',
      { cause },
    );
  }
}

/** @internal */
export const native: typeof Native = load();
