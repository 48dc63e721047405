import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../src/capture/fanotify-change-source.ts'
import { systemClock, type Clock } from '../../src/clock/clock.ts'
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

void t.test('after the clock was set back a walk finds what has a change time from before the one that was given', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  const signal = AbortSignal.timeout(60_000)
  // an hour ahead, until it is set
  let aheadMs = 3_600_000
  const clock: Clock = { ...systemClock, now: () => Date.now() + aheadMs }
  const monotonicFrom = performance.now()
  await using source = await openFanotifyChangeSource({ volumes: new Map([[5, volume.path]]), clock, monotonic: () => performance.now() - monotonicFrom }, signal)
  const found = async (sinceNs: bigint): Promise<string[]> => {
    const names: string[] = []
    for await (const page of source.changedSince(5, sinceNs, { frozen: false }, signal)) names.push(...page.map(({ path }) => path.toString()))
    return names
  }
  writeFileSync(join(volume.path, 'made'), 'by the kernel, whose clock is an hour behind')
  const at = await source.settle(5, signal)
  t.same(await found(at), [], 'it is as if made an hour before')
  aheadMs = -3_600_000
  t.ok((await found(at)).includes('made'), 'it was set back by two hours')
  aheadMs = 3_600_000
  t.ok((await found(at)).includes('made'), 'and may have made something meanwhile')
})
