import { createClientAsync } from 'soap'
import type { OperationName } from '../../../src/hypervisor/vsphere-types.ts'
import { vsphereWsdl } from '../../../src/hypervisor/vsphere-wsdl.ts'

/** A typed object in an envelope: its type and the names of its children, each once, in the order in which they first stand there. */
export interface SentElement { readonly type: string, readonly children: readonly string[] }

/** What node-soap really writes for these arguments, as the typed objects in the envelope; the request itself is refused before it leaves. */
export async function elementsSent(operation: OperationName, args: Record<string, unknown>): Promise<SentElement[]> {
  let envelope = ''
  const client = await createClientAsync(vsphereWsdl(), { disableCache: true, endpoint: 'https://127.0.0.1:9/sdk' })
  client.on('request', xml => { envelope = xml })
  const call: unknown = client[`${operation}Async`]
  if (typeof call !== 'function') throw new Error(`no operation ${operation}`)
  await Promise.resolve(call.call(client, args)).catch(() => undefined)
  return typedElements(envelope)
}

/** `children` in the order in which `expected` has them; a child that it has not makes an order that nothing equals. */
export function orderOf(expected: readonly string[], children: readonly string[]): string[] {
  return [...expected.filter(name => children.includes(name)), ...children.filter(name => !expected.includes(name)).map(name => `unknown ${name}`)]
}

function typedElements(xml: string): SentElement[] {
  const open: { type: string | undefined, children: string[] }[] = []
  const found: SentElement[] = []
  for (const [, closing, name = '', attributes = '', empty] of xml.matchAll(/<(\/?)(?:\w+:)?([\w]+)([^>]*?)(\/?)>/g)) {
    if (closing === '/') {
      const done = open.pop()
      if (done?.type !== undefined && done.type !== 'string') found.push({ type: done.type, children: done.children })
      continue
    }
    const parent = open.at(-1)
    if (parent?.children.includes(name) === false) parent.children.push(name)
    if (empty !== '/') open.push({ type: /xsi:type="(?:\w+:)?(\w+)"/.exec(attributes)?.[1], children: [] })
  }
  return found
}
