/** A swap file that an installer has allocated is one on the replica, too: by the kernel's own word. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { allocateSwapFiles } from '../../../src/replica/swap-files.ts'
import type { MountedVolume } from '../../../src/storage/volume-stack.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { copyTree } from '../../zoo/copy.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { ext4, GIB, volume } from '../../unit/replica/workloads.ts'

const MIB = 2 ** 20
const signal = AbortSignal.timeout(120_000)

function mountedAt(mountPoint: string): MountedVolume {
  return { volume: { volume: volume('sda', 1, '/', ext4('dd000000-0000-4000-8000-000000000002', GIB), GIB), disk: 0, partition: 1, index: 0 }, device: '/dev/landfall-test', mountPoint, volumeId: 'x' }
}

/** Whether the kernel swaps to it. */
function isSwappedTo(file: string): boolean {
  if (spawnSync('swapon', [file]).status !== 0) return false
  execFileSync('swapoff', [file])
  return true
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`a swap file that was allocated, not written, is used on a replica of ${type}`, { skip: MOUNT_SKIP }, async t => {
    using source = mountLoop(type, 400)
    using target = mountLoop(type, 400)
    mkdirSync(join(source.path, 'etc'))
    writeFileSync(join(source.path, 'etc/fstab'), '/swap.img none swap sw 0 0\n/missing none swap sw 0 0\n/etc/huge none swap sw 0 0\n')
    const made = join(source.path, 'swap.img')
    writeFileSync(made, '', { mode: 0o600 })
    if (type === 'btrfs') execFileSync('chattr', ['+C', made])
    execFileSync('fallocate', ['--length', String(32 * MIB), made])
    execFileSync('mkswap', ['--quiet', '--uuid', 'aaaaaaaa-0000-4000-8000-000000000001', made])
    t.ok(isSwappedTo(made), 'by the source')
    // hostile: it would fill the replica
    writeFileSync(join(source.path, 'etc/huge'), '')
    truncateSync(join(source.path, 'etc/huge'), 2 ** 40)
    await using from = await openPosixSourceTree(source.path, signal)
    await using to = await openPosixTargetTree(target.path, signal)
    await copyTree(from, to, signal)
    const arrived = join(target.path, 'swap.img')
    const { mtimeNs } = statSync(arrived, { bigint: true })
    t.notOk(isSwappedTo(arrived), 'its holes are refused')
    for (const messages of [[/^\/swap\.img has \d+ bytes more/, /^there is no room for the holes of \/etc\/huge/], [/^there is no room/]]) {
      const findings = await allocateSwapFiles(new ExecaRunner(), [mountedAt(target.path)], { volumes: [] }, signal)
      t.equal(findings.length, messages.length)
      for (const [i, message] of messages.entries()) t.match(findings[i]?.message, message)
    }
    t.ok(isSwappedTo(arrived), 'by the replica')
    t.match(execFileSync('blkid', ['--probe', arrived], { encoding: 'utf8' }), /aaaaaaaa-0000-4000-8000-000000000001/)
    t.ok(Math.abs(Number(statSync(arrived, { bigint: true }).mtimeNs - mtimeNs)) < 1e6, 'its time stays')
    t.ok(statSync(join(target.path, 'etc/huge')).blocks < 100)
  })
}
