/** DST of a transfer: which directory may be written to. Looks before anything is written. */
import { opendir } from 'node:fs/promises'
import { AppError } from '../../src/errors/app-error.ts'
import { readMark, VOLUME_MARK, writeMark } from '../../src/posix/marks.ts'
import { closeTree, openTree } from '../../src/posix/posix.ts'
import { openPosixTargetTree, openReplicaVolume } from '../../src/tree/posix-target-tree.ts'
import type { TargetTree } from '../../src/tree/target-tree.ts'

export interface TargetIdentity {
  /** DST must be the root of the volume that bears this id */
  volumeId?: string | undefined
  /** DST gets the id first, when it bears none and is empty */
  mark?: boolean | undefined
}

/** @throws {AppError} REPLICA_ROOT_FOREIGN when DST bears an id that was not named, or not the one that was */
export async function openTarget(path: string, { volumeId, mark }: TargetIdentity, signal: AbortSignal): Promise<TargetTree> {
  if (volumeId === undefined) {
    const found = await marked(path, async existing => existing)
    if (found !== undefined) throw new AppError('REPLICA_ROOT_FOREIGN', `${path} is volume ${JSON.stringify(found)} of a job; to write to it name it with --volume-id`)
    return await openPosixTargetTree(path, signal)
  }
  if (mark === true) {
    await marked(path, async (existing, write) => {
      if (existing !== undefined) return
      if (!await isEmpty(path)) throw new AppError('REPLICA_ROOT_FOREIGN', `${path} bears no volume's id and is not empty; nothing was written`)
      await write(volumeId)
    })
  }
  return await openReplicaVolume(path, volumeId, signal)
}

async function marked<T>(path: string, work: (existing: string | undefined, write: (id: string) => Promise<void>) => Promise<T>): Promise<T> {
  const tree = await openTree(path, 'replica')
  try {
    return await work(await readMark(tree, VOLUME_MARK), async id => { await writeMark(tree, VOLUME_MARK, id) })
  } finally {
    closeTree(tree)
  }
}

/** Nothing in it but what mkfs makes. */
async function isEmpty(path: string): Promise<boolean> {
  for await (const { name } of await opendir(path)) if (name !== 'lost+found') return false
  return true
}
