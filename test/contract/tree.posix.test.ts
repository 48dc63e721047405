import { MOUNT_SKIP } from '../zoo/loop-file-system.ts'
import { openPosixPair } from '../zoo/tree-pair.ts'
import { digestContract } from './digest.contract.ts'
import { sourceTreeContract } from './source-tree.contract.ts'
import { targetTreeContract } from './target-tree.contract.ts'

sourceTreeContract('posix', () => openPosixPair(), MOUNT_SKIP)
targetTreeContract('posix', () => openPosixPair(), MOUNT_SKIP)
digestContract('posix', () => openPosixPair(), MOUNT_SKIP)
