import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { replicateDirectories } from '../../lab/transfer.ts'
import { differences } from '../../oracle.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const MIB = 1024 * 1024
const FILE_MIB = 192
/** what stores to the file; how many blocks of 4 KiB that changes */
const WRITERS: readonly [string, string][] = [
  ['pwrite', 'os.pwrite(f, os.urandom(4096), at)'],
  ['mmap', 'm[at:at + 4096] = os.urandom(4096)'],
  ['direct', 'd.seek(0); d.write(os.urandom(4096)); os.pwritev(f, [d], at)'],
]
const BLOCKS = 400

t.setTimeout(500_000)

for (const type of ['ext4', 'xfs'] as const) {
  for (const [name, store] of WRITERS) {
    void t.test(`random blocks written by ${name} into a large file on ${type} cost little more than themselves`, { skip: MOUNT_SKIP }, async t => {
      using source = mountLoop(type, 640)
      using target = mountLoop(type, 640)
      const replica = join(target.path, 'replica')
      mkdirSync(replica)
      writeFileSync(join(source.path, 'large'), Buffer.alloc(FILE_MIB * MIB, 1))
      execFileSync('sync', ['-f', source.path])
      // what is on the way when the replication ends is sent again by the drain: it sleeps for longer than any pause between cycles
      const writer = `import mmap,os,random,time
f = os.open("large", os.O_RDWR${name === 'direct' ? ' | os.O_DIRECT' : ''}); m = mmap.mmap(f, 0); d = mmap.mmap(-1, 4096)
random.seed(7)
for n in range(${String(BLOCKS)}):
    at = random.randrange(${String(FILE_MIB * MIB)} // 4096) * 4096
    ${store}
    time.sleep(0.002)
time.sleep(4)`
      const result = await replicateDirectories({ source: source.path, target: replica, request: { compare: 'none', orphans: 'keep' } }, ['sh', '-c', `cd ${source.path} && exec python3 -c '${writer}'`], AbortSignal.timeout(240_000))
      t.equal(result.commandExitCode, 0)
      t.same(await differences(source.path, replica), [])
      t.same(result.findings, [])
      const times = result.bytesReplicated / (BLOCKS * 4096)
      t.ok(times >= 0.9 && times < 1.5, `${times.toFixed(2)} times what changed`)
    })
  }
}
