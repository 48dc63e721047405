import { compileRules } from '../../src/tree/volume-rules.ts'
import { ruledSourceTree } from '../../src/tree/ruled-source-tree.ts'
import { openMemoryPair } from '../zoo/tree-pair.ts'
import { digestContract } from './digest.contract.ts'
import { sourceTreeContract } from './source-tree.contract.ts'
import { targetTreeContract } from './target-tree.contract.ts'

sourceTreeContract('memory', openMemoryPair)
// rules that keep out nothing of what the suite makes, but might in every directory
sourceTreeContract('memory behind rules', async () => {
  const pair = await openMemoryPair()
  const source = ruledSourceTree(pair.source, compileRules([{ kind: 'exclude', pattern: '*.never', recursive: true }]))
  return { ...pair, source, [Symbol.asyncDispose]: async () => { await pair[Symbol.asyncDispose]() } }
})
targetTreeContract('memory', openMemoryPair)
digestContract('memory', openMemoryPair)
