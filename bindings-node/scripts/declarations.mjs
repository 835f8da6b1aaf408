// Makes native.d.ts of what the macros of napi-derive have written down: one JSON object a line.

import { readFileSync } from 'node:fs';

const HEADER = `// The native half, as TypeScript sees it. Made by scripts/build.mjs from the sources in src/; do not edit.

`;

/** The declarations in a file of napi-derive, sorted by name, so that the order of compilation does not show. */
export function declarations(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const classes = new Map();
  const others = [];
  for (const one of lines) {
    if (one.kind === 'struct') classes.set(one.original_name ?? one.name, { ...one, members: '' });
  }
  for (const one of lines) {
    if (one.kind === 'impl') {
      const owner = classes.get(one.original_name ?? one.name) ?? [...classes.values()].find((c) => c.name === one.name);
      owner.members += one.def;
    } else if (one.kind !== 'struct') {
      others.push(one);
    }
  }
  const parts = [...classes.values(), ...others].sort((a, b) => (a.name < b.name ? -1 : 1)).map(print);
  let text = parts.join('\n');
  // Arguments go by the names that the classes have in Rust.
  for (const [rust, { name }] of classes) text = text.replace(new RegExp(`\\b${rust}\\b`, 'g'), name);
  return HEADER + text;
}

function print(one) {
  const doc = one.js_doc ? one.js_doc.trimEnd() + '\n' : '';
  if (one.kind !== 'struct') return `${doc}export declare ${one.def}\n`;
  const body = (one.def + '\n' + one.members).trim();
  const members = body ? `${body.split('\n').map((line) => (line.trim() ? `  ${line.trim()}` : '')).join('\n')}\n` : '';
  return `${doc}export declare class ${one.name} {\n${members.replace(/^ {2}\*/gm, '   *')}}\n`;
}
