/** Large files through the real mirror: they are written past the page cache of the appliance, whatever their sizes and their holes. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mirrorDirectories } from '../../lab/transfer.ts'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { differences } from '../../zoo/zoo.ts'

const MIB = 2 ** 20
const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8' })

function mounted(t: Test, type: LoopType): string {
  const volume = mountLoop(type, 512)
  t.teardown(() => { volume[Symbol.dispose]() })
  return volume.path
}

/** Bytes of the file's content that are in memory. */
const residentBytes = (path: string): number => Number(run('fincore', '--bytes', '--noheadings', '--output', 'RES', path))

/** Sizes at and around what is written directly, and data that begins and ends anywhere. */
const MAKE = `
import os, sys
os.chdir(sys.argv[1])
for size in (40 << 20, (2 << 20) + 1, (2 << 20) - 1, (4 << 20) + 4096, (4 << 20) + 4095, (1 << 20) + 1, 262144, 262143):
    with open('size-%d' % size, 'wb') as file: file.write(os.urandom(size))
with open('holes', 'wb') as file:
    file.truncate(64 << 20)
    for at, length in ((5, 3 << 20), ((8 << 20) + 4096, 2 << 20), ((20 << 20) - 1, (1 << 20) + 2), ((63 << 20) + 17, 1000)):
        file.seek(at); file.write(os.urandom(length))
`
const CHANGE = `
import os, sys
with open(os.path.join(sys.argv[1], 'size-%d' % (40 << 20)), 'r+b') as file:
    for at, length in ((1, 1), ((3 << 20) - 100, 700000), ((12 << 20), 1 << 20), ((40 << 20) - 3, 3)):
        file.seek(at); file.write(os.urandom(length))
`

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  t.test(`large files arrive on ${type} as they are, and do not stay in the appliance's memory`, { skip: MOUNT_SKIP }, async t => {
    const [source, replica] = [mounted(t, 'ext4'), mounted(t, type)]
    run('python3', '-c', MAKE, source)
    const signal = AbortSignal.timeout(120_000)
    const mirror = async (compare: 'none' | 'data'): Promise<void> => {
      const { findings } = await mirrorDirectories({ source, target: replica, request: { compare, orphans: 'delete' } }, signal)
      t.same(findings, [])
    }
    await mirror('none')
    const resident = residentBytes(join(replica, `size-${String(40 * MIB)}`))
    t.ok(resident <= 4 * MIB, `${String(resident)} of ${String(40 * MIB)} bytes in memory`)
    t.same(differences(source, replica), [])
    run('python3', '-c', CHANGE, source)
    for (const compare of ['data', 'none'] as const) {
      await mirror(compare)
      t.same(differences(source, replica), [], `comparing ${compare}`)
    }
  })
}
