// Which calls does the package have, each with its parameters and the members of its options? Read from the declarations.
// `node scripts/surface.mjs` writes the part of Node of tests/surface/found.json, the one table of what users call.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const ts = createRequire(import.meta.url)('typescript');

export const TABLE = join(dirname(here), 'tests', 'surface', 'found.json');

/** `{ entry point: { call: { parameter: [members of its options] } } }`; a class is the call that makes one, its methods are `Class.method`. */
export function surface() {
  const entries = { quorate: 'types/index.d.ts', 'quorate/consensus': 'types/consensus/index.d.ts', 'quorate/telemetry': 'types/telemetry.d.ts', 'quorate/workflows': 'types/workflows/index.d.ts' };
  const files = Object.values(entries).map((file) => join(here, file));
  const program = ts.createProgram(files, { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16, target: ts.ScriptTarget.ES2022, skipLibCheck: true, strict: true, types: ['node'], typeRoots: [join(here, 'node_modules/@types')] });
  const checker = program.getTypeChecker();
  const ours = (symbol) => symbol.declarations?.some((d) => d.getSourceFile().fileName.startsWith(join(here, 'types')));

  /** The members of an options object or of a plain input, none for anything else. */
  function members(type) {
    const parts = type.isUnion() ? type.types : [type];
    const names = new Set();
    for (const part of parts) {
      if (!(part.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) || part.getCallSignatures().length > 0) continue;
      if (checker.isArrayType(part) || checker.isTupleType(part) || part.isClass()) continue;
      for (const property of checker.getPropertiesOfType(part)) {
        if (!(property.flags & ts.SymbolFlags.Method) && ours(property)) names.add(property.name);
      }
    }
    return [...names].sort();
  }

  /** Arguments of which there may be several forms (`...args: [a, b] | [c]`), by the names of the members of the tuples. */
  function gathered(type) {
    const forms = (type.isUnion() ? type.types : [type]).filter((part) => checker.isTupleType(part));
    const found = {};
    for (const form of forms) {
      checker.getTypeArguments(form).forEach((argument, i) => {
        const name = form.target.labeledElementDeclarations?.[i]?.name.getText() ?? `argument${i}`;
        found[name] = [...new Set([...(found[name] ?? []), ...members(argument)])].sort();
      });
    }
    return found;
  }

  const parameters = (signature) => {
    const found = {};
    for (const parameter of signature.parameters) {
      const type = checker.getTypeOfSymbolAtLocation(parameter, parameter.valueDeclaration);
      const rest = parameter.valueDeclaration.dotDotDotToken !== undefined;
      Object.assign(found, rest ? gathered(type) : { [parameter.name]: members(type) });
    }
    return found;
  };

  /** All overloads together. */
  const overloads = (signatures) => {
    const found = {};
    for (const one of signatures.map(parameters)) {
      for (const [name, its] of Object.entries(one)) found[name] = [...new Set([...(found[name] ?? []), ...its])].sort();
    }
    return found;
  };

  const out = {};
  for (const [entry, file] of Object.entries(entries)) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(join(here, file)));
    const calls = (out[entry] = {});
    for (let symbol of checker.getExportsOfModule(module)) {
      if (symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
      if (!(symbol.flags & ts.SymbolFlags.Value) || symbol.flags & ts.SymbolFlags.ValueModule) continue;
      const type = checker.getTypeOfSymbol(symbol);
      const made = type.getConstructSignatures();
      if (type.getCallSignatures().length > 0) calls[symbol.name] = overloads(type.getCallSignatures());
      if (made.length === 0) continue;
      calls[symbol.name] = parameters(made[0]);
      // What the class itself has comes last: `KnowledgeBase.open` would be found in both.
      for (const method of [...made[0].getReturnType().getProperties(), ...checker.getPropertiesOfType(type)]) {
        if (!ours(method) || method.name.startsWith('__')) continue;
        const signatures = checker.getTypeOfSymbol(method).getCallSignatures();
        if (signatures.length > 0) calls[`${symbol.name}.${method.name}`] = overloads(signatures);
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
  } catch {
    // There is none yet.
  }
  table.node = surface();
  writeFileSync(TABLE, `${JSON.stringify({ node: table.node, python: table.python }, null, 1)}\n`);
}
