/** The contracts on file systems of their own: each has other answers to the same calls. */
import t from 'tap'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { openPosixPair } from '../../zoo/tree-pair.ts'
import { digestContract } from '../../contract/digest.contract.ts'
import { sourceTreeContract } from '../../contract/source-tree.contract.ts'
import { targetTreeContract } from '../../contract/target-tree.contract.ts'

if (MOUNT_SKIP === false) {
  for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
    const volume = mountLoop(type)
    // the suites register their tests at once and tap runs them in order, this one last
    sourceTreeContract(type, () => openPosixPair(volume.path))
    targetTreeContract(type, () => openPosixPair(volume.path))
    digestContract(type, () => openPosixPair(volume.path))
    t.teardown(() => { volume[Symbol.dispose]() })
  }
} else {
  void t.test('the contracts on file systems of their own', { skip: MOUNT_SKIP }, () => Promise.resolve())
}
