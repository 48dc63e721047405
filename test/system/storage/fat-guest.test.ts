/** An EFI system partition is described, made again, mirrored, replicated, verified and handed over: for real, in a guest, because the host has no FAT. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { noLoopDisks } from '../../contract/loop-disks.ts'
import { makeProgramRoot } from '../../zoo/program-root.ts'
import { runInSmallGuest } from '../../zoo/small-guest.ts'

const MIB = 1 << 20
const PROGRAMS = ['sh', 'mount', 'umount', 'mkfs.vfat', 'fatlabel', 'fsck.vfat', 'blkid', 'wipefs', 'blockdev', 'partx']

t.test('a FAT of the replica is what the source\'s is, and nothing is sent twice', { skip: noLoopDisks(), timeout: 1_100_000 }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-fat-'))
  try {
    const root = join(directory, 'root.img')
    makeProgramRoot(directory, root, 'test/system/storage/fat-guest-program.ts', PROGRAMS)
    const output = await runInSmallGuest({
      programs: [], modules: ['ext4', 'crc32c_generic', 'vfat', 'nls_cp437', 'nls_ascii', 'nls_utf8'], diskSizesBytes: [32 * MIB, 32 * MIB], root, timeoutMs: 540_000, files: {},
      script: 'node /code/test/system/storage/fat-guest-program.js\n',
    }, AbortSignal.timeout(1_000_000))
    const told = output.split('\n').filter(line => line.startsWith('@ ')).map(line => line.slice(2))
    t.same(told, [
      'properties {"fatBits":"16","sectsz":"512","clusterSectors":"8","reservedSectors":"6","tables":"2","rootEntries":"256"}',
      'unmarked REPLICA_ROOT_FOREIGN', 'marked by another REPLICA_ROOT_FOREIGN',
      'second mirror 0 sent, findings []', 'third mirror, with other rights and all read from the disk 0 sent, findings []',
      'mark job1/0', 'the mark is refused ["EINVAL","EINVAL","EINVAL","EINVAL"]', 'replication []', 'verification []', 'equal yes', 'described alike yes', 'after a power loss clean',
    ])
    if (!t.passing()) t.comment(output)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
