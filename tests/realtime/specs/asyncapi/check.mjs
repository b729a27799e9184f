// Reads an AsyncAPI document from the standard input; prints what is wrong with it, as JSON.
import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'

// That there is a later version of AsyncAPI is no mistake in a document.
const AS_WANTED = new Set(['asyncapi-latest-version'])

const { document, diagnostics } = await new Parser().parse(readFileSync(0, 'utf8'))
console.log(
  JSON.stringify({
    read: document !== undefined,
    complaints: diagnostics
      .filter((one) => !AS_WANTED.has(one.code))
      .map((one) => `${one.path.join('/')}: ${one.message}`),
  }),
)
