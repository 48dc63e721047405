import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openFanotifyChangeSource } from '../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../src/clock/clock.ts'
import type { LesserKernel } from '../../src/posix/capture.ts'
import { MOUNT_SKIP, mountLoop, mountSubvolume, type LoopType } from '../zoo/loop-file-system.ts'
import { changeSourceContract, type Captured } from './change-source.contract.ts'

async function open(directory: string, dispose: () => void, lesser: LesserKernel = {}): Promise<Captured> {
  mkdirSync(join(directory, 'below'))
  writeFileSync(join(directory, 'old'), 'old')
  writeFileSync(join(directory, 'below', 'inner'), 'inner')
  const source = await openFanotifyChangeSource({ volumes: new Map([[5, directory]]), clock: systemClock, lesser }, AbortSignal.timeout(60_000))
  return {
    directory, source,
    did: () => undefined,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]()
      dispose()
    },
  }
}

changeSourceContract('fanotify below a plain directory', async () => {
  // of a file system of its own: what others do beside the directory counts as pending until it is looked at
  const volume = mountLoop('ext4', 64)
  const directory = join(volume.path, 'plain')
  mkdirSync(directory)
  return open(directory, () => { volume[Symbol.dispose]() })
}, MOUNT_SKIP)

for (const [name, options] of [['a subvolume of btrfs', 'subvol=@'], ['the whole of a btrfs whose default is a subvolume', 'subvolid=5']] as const) {
  changeSourceContract(`fanotify on ${name}`, async () => {
    const volume = mountSubvolume(options)
    return open(volume.path, () => { volume[Symbol.dispose]() })
  }, MOUNT_SKIP)
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const satisfies readonly LoopType[]) {
  changeSourceContract(`fanotify on ${type}`, async () => {
    const volume = mountLoop(type, { ext4: 64, xfs: 400, btrfs: 256 }[type])
    return open(volume.path, () => { volume[Symbol.dispose]() })
  }, MOUNT_SKIP)
}

changeSourceContract('fanotify of a kernel before 5.17', async () => {
  const volume = mountLoop('ext4', 64)
  return open(volume.path, () => { volume[Symbol.dispose]() }, { before517: true })
}, MOUNT_SKIP)
