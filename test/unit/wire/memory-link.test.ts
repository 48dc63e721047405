import { linkContract } from '../../contract/link.contract.ts'
import { memoryLinkPair } from '../../../src/wire/memory-link.ts'

linkContract('memory', async () => {
  const pair = memoryLinkPair()
  return { ...pair, [Symbol.asyncDispose]: async () => { await pair.agent[Symbol.asyncDispose](); await pair.appliance[Symbol.asyncDispose]() } }
})
