// Builds the package in place: the native half with cargo, its declarations, then the TypeScript half.
// `node scripts/build.mjs [native|ts]` does one half only.

import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { declarations } from './declarations.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const half = process.argv[2];

if (half !== 'ts') await native();
if (half !== 'native') typescript();

/** Builds the addon and puts it beside package.json. */
async function native() {
  const target = process.env.CARGO_TARGET_DIR ?? process.env.QUORATE_TARGET_DIR;
  const profile = process.env.QUORATE_PROFILE ?? 'release';
  const args = ['build', '--profile', profile, '--locked', ...(process.env.QUORATE_OFFLINE ? ['--offline'] : []), '-p', 'quorate-node', '--message-format', 'json-render-diagnostics'];
  if (process.env.CARGO_BUILD_TARGET) args.push('--target', process.env.CARGO_BUILD_TARGET);
  const env = { ...process.env, ...(target && { CARGO_TARGET_DIR: target }) };
  const messages = await output('cargo', args, { cwd: dirname(here), env });
  let library;
  let types;
  for (const line of messages.split('\n')) {
    if (!line.startsWith('{')) continue;
    const message = JSON.parse(line);
    if (!/quorate-node|bindings-node/.test(message.package_id ?? '')) continue;
    if (message.reason === 'build-script-executed') types = message.out_dir;
    const files = message.filenames ?? [];
    if (message.reason === 'compiler-artifact' && message.target.kind.includes('cdylib')) {
      library = files.find((file) => /\.(so|dylib|dll)$/.test(file));
    }
  }
  if (!library || !types) throw new Error('cargo did not say where the addon lies');
  const name = `quorate.${platform()}.node`;
  // Into place by renaming: a process that has the old one open keeps it.
  copyFileSync(library, join(here, `${name}.new`));
  renameSync(join(here, `${name}.new`), join(here, name));
  writeFileSync(join(here, 'native.d.ts'), declarations(join(types, 'quorate-node')));
}

/** Compiles ts/ to dist/ (CommonJS, with an ESM face for each entry point) and types/. */
function typescript() {
  rmSync(join(here, 'dist'), { recursive: true, force: true });
  rmSync(join(here, 'types'), { recursive: true, force: true });
  // The adapters extend classes of LangChain, which are other ones for ESM than for CommonJS, so they are compiled for both.
  const twins = ['langchain', 'langgraph'].map((name) => join(here, 'ts', `${name}.cts`));
  for (const twin of twins) copyFileSync(twin.replace(/cts$/, 'mts'), twin);
  const tsc = require.resolve('typescript/bin/tsc');
  const done = spawnSync(process.execPath, [tsc, '-p', here], { stdio: 'inherit' });
  for (const twin of twins) rmSync(twin);
  if (done.status !== 0) process.exit(done.status ?? 1);
  for (const entry of ['index', 'consensus/index', 'telemetry', 'workflows/index']) face(entry);
}

/** The ESM face of an entry point: the same objects under the same names. */
function face(entry) {
  const compiled = join(here, 'dist', `${entry}.js`);
  const base = `./${entry.split('/').at(-1)}.js`;
  const names = exported(compiled);
  const lines = [`import all from '${base}';`, `export const { ${names.join(', ')} } = all;`, ''];
  writeFileSync(join(here, 'dist', `${entry}.mjs`), lines.join('\n'));
  mkdirSync(dirname(join(here, 'types', `${entry}.d.mts`)), { recursive: true });
  writeFileSync(join(here, 'types', `${entry}.d.mts`), `export * from '${base}';\n`);
}

/** The names that a compiled module exports, which needs the addon. */
function exported(compiled) {
  const script = `process.stdout.write(JSON.stringify(Object.keys(require(${JSON.stringify(compiled)}))))`;
  const run = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${relative(here, compiled)} cannot be loaded:\n${run.stderr}`);
  return JSON.parse(run.stdout).filter((name) => name !== '__esModule').sort();
}

/** The name of this platform; ts/native.ts looks for the same. */
function platform() {
  if (process.platform !== 'linux') return `${process.platform}-${process.arch}`;
  const musl = readdirSync('/lib').some((file) => file.startsWith('ld-musl-'));
  return `linux-${process.arch}-${musl ? 'musl' : 'gnu'}`;
}

/** What a command prints; its errors go to the terminal. */
function output(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`${command} ended with ${code}`))));
  });
}
