/** What a CaptureKeeper needs of this machine. */
import { readFileSync } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'
import { captureLog } from '../logging/logger.ts'
import type { KeeperSeams } from '../source/capture-keeper.ts'
import { CaptureFile } from '../source/kept-capture.ts'

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id'
const NS_PER_MS = 1_000_000n

export function keeperSeams(stateDirectory: string): KeeperSeams {
  return {
    file: new CaptureFile(stateDirectory),
    bootId: readFileSync(BOOT_ID_PATH, 'utf8').trim(),
    // the monotonic clock of the kernel: the same for every process of a boot
    readClock: () => ({ wallMs: Date.now(), monotonicMs: Number(process.hrtime.bigint() / NS_PER_MS) }),
    identify: async path => {
      const [root, { type }] = [await stat(path, { bigint: true }), await statfs(path)]
      // device numbers change with a boot; when a file system was made does not
      return [type, root.ino, root.birthtimeNs].map(String).join(':')
    },
    log: captureLog,
  }
}
