// Which calls does the package have, each with its parameters and the members of its options? Read from the declarations.
// `node scripts/surface.mjs` writes the part of Node of tests/surface.json, the one table of what users call.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const ts = createRequire(import.meta.url)('typescript');

export const TABLE = join(dirname(here), 'tests', 'surface.json');

/** `{ entry point: { call: { parameter: [members of its options] } } }`; a class is the call that makes one. */
export function surface() {
  const entries = { quorate: 'types/index.d.ts', 'quorate/consensus': 'types/consensus/index.d.ts' };
  const files = Object.values(entries).map((file) => join(here, file));
  const program = ts.createProgram(files, { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16, target: ts.ScriptTarget.ES2022, skipLibCheck: true, strict: true, types: ['node'], typeRoots: [join(here, 'node_modules/@types')] });
  const checker = program.getTypeChecker();
  const ours = (symbol) => symbol.declarations?.some((d) => d.getSourceFile().fileName.startsWith(join(here, 'types')));

  /** The members of an options object, none for anything else. */
  function members(type) {
    const parts = type.isUnion() ? type.types : [type];
    const names = new Set();
    for (const part of parts) {
      if (!(part.flags & ts.TypeFlags.Object) || part.getCallSignatures().length > 0) continue;
      if (checker.isArrayType(part) || checker.isTupleType(part)) continue;
      for (const property of part.getProperties()) if (property.flags & ts.SymbolFlags.Optional && ours(property)) names.add(property.name);
    }
    return [...names].sort();
  }

  const parameters = (signature) =>
    Object.fromEntries(
      signature.parameters.map((p) => [p.name, members(checker.getTypeOfSymbolAtLocation(p, p.valueDeclaration))]),
    );

  const out = {};
  for (const [entry, file] of Object.entries(entries)) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(join(here, file)));
    const calls = (out[entry] = {});
    for (let symbol of checker.getExportsOfModule(module)) {
      if (symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
      if (!(symbol.flags & ts.SymbolFlags.Value) || symbol.flags & ts.SymbolFlags.ValueModule) continue;
      const type = checker.getTypeOfSymbol(symbol);
      const made = type.getConstructSignatures();
      for (const signature of type.getCallSignatures()) calls[symbol.name] = { ...calls[symbol.name], ...parameters(signature) };
      if (made.length === 0) continue;
      calls[symbol.name] = parameters(made[0]);
      for (const method of made[0].getReturnType().getProperties()) {
        if (!ours(method) || method.name.startsWith('__')) continue;
        const signatures = checker.getTypeOfSymbol(method).getCallSignatures();
        if (signatures.length > 0) calls[`${symbol.name}.${method.name}`] = Object.assign({}, ...signatures.map(parameters));
      }
    }
    out[entry] = Object.fromEntries(Object.entries(calls).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let table = {};
  try {
    table = JSON.parse(readFileSync(TABLE, 'utf8'));
  } catch {}
  table.node = surface();
  writeFileSync(TABLE, `${JSON.stringify({ node: table.node, python: table.python }, null, 1)}\n`);
}
