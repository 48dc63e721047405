import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openInotifyChangeSource } from '../../src/capture/inotify-change-source.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { MOUNT_SKIP, mountLoop, mountSubvolume } from '../zoo/loop-file-system.ts'
import { changeSourceContract } from './change-source.contract.ts'

const VOLUMES = { ext4: () => mountLoop('ext4', 64), xfs: () => mountLoop('xfs', 400), 'a subvolume of btrfs': () => mountSubvolume('subvol=@') }

for (const [name, mount] of Object.entries(VOLUMES)) {
  changeSourceContract(`inotify on ${name}`, async () => {
    const volume = mount()
    mkdirSync(join(volume.path, 'below'))
    writeFileSync(join(volume.path, 'old'), 'old')
    writeFileSync(join(volume.path, 'below', 'inner'), 'inner')
    const source = await openInotifyChangeSource({ volumes: new Map([[5, volume.path]]), clock: systemClock }, AbortSignal.timeout(60_000))
    return {
      directory: volume.path, source,
      did: () => undefined,
      [Symbol.asyncDispose]: async () => {
        await source[Symbol.asyncDispose]()
        volume[Symbol.dispose]()
      },
    }
  }, MOUNT_SKIP)
}
