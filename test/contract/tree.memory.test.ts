import { openMemoryPair } from '../zoo/tree-pair.ts'
import { sourceTreeContract } from './source-tree.contract.ts'
import { targetTreeContract } from './target-tree.contract.ts'

sourceTreeContract('memory', openMemoryPair)
targetTreeContract('memory', openMemoryPair)
