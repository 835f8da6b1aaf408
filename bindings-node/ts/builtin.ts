// Which modules of Node does the package need, also when it is bundled into one ES module, where `require` is none of Node's?

type Modules = {
  'node:async_hooks': typeof import('node:async_hooks');
  'node:fs': typeof import('node:fs');
  'node:module': typeof import('node:module');
  'node:path': typeof import('node:path');
  'node:util': typeof import('node:util');
  'node:worker_threads': typeof import('node:worker_threads');
};

/** @internal A module of Node itself. */
export function builtin<N extends keyof Modules>(name: N): Modules[N] {
  const get = (process as { getBuiltinModule?: (name: string) => unknown }).getBuiltinModule;
  return (get ? get(name) : require(name)) as Modules[N];
}
