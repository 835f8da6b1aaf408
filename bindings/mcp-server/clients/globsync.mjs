// The conformance tests import a function of Node 22 that the commands used here never call; with Node 20 it is stood in for.
import fs from 'node:fs'
import { register } from 'node:module'

if (!('globSync' in fs)) {
  const standIn = `export * from 'node:fs'; export { default } from 'node:fs'
    export function globSync() { throw new Error('globSync needs Node 22') }`
  const hook = `export async function resolve(specifier, context, next) {
    const asks = (context.parentURL ?? '').includes('/@modelcontextprotocol/conformance/')
    return asks && specifier === 'fs' ? { url: ${JSON.stringify('data:text/javascript,' + encodeURIComponent(standIn))}, shortCircuit: true } : next(specifier, context)
  }`
  register('data:text/javascript,' + encodeURIComponent(hook))
}
