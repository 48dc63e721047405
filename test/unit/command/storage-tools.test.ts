import { join } from 'node:path'
import t from 'tap'
import { flushDevice } from '../../../src/command/blockdev.ts'
import { runInRoot } from '../../../src/command/chroot.ts'
import { checkExt, checkXfs } from '../../../src/command/fsck.ts'
import { makeExt, makeSwap, makeXfs } from '../../../src/command/mkfs.ts'
import { addPartitions, forgetPartitions } from '../../../src/command/partx.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'
import { writePartitionTable } from '../../../src/command/sfdisk.ts'
import { tuneExt } from '../../../src/command/tune2fs.ts'
import { listSignatures } from '../../../src/command/wipefs.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)
const replay = async (name: string): Promise<ScriptedRunner> => ScriptedRunner.open(FIXTURES, [name])

/** What a wrapper starts: the tool, its arguments and its input. */
async function started(act: (runner: Runner) => Promise<unknown>): Promise<{ tool: string, args: readonly string[], input: string | undefined, env: unknown }> {
  let call: { tool: string, args: readonly string[], input: string | undefined, env: unknown } | undefined
  await act({ run: async (tool, args, o) => { call = { tool, args, input: o.input, env: o.env }; return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 } } })
  if (call === undefined) throw new Error('nothing was started')
  return call
}

t.test('a blank disk has no signatures, a partitioned one those of its tables', async t => {
  t.same(await listSignatures(await replay('wipefs/blank'), '/dev/loop9', signal), [])
  t.same([...await listSignatures(await replay('wipefs/gpt'), '/dev/loop9', signal)].sort(), ['PMBR', 'gpt', 'gpt'])
})

t.test('a damaged file system is an answer, not a failure of the tool', async t => {
  t.equal((await checkExt(await replay('e2fsck/clean'), '/dev/sdb1', 60_000, signal)).clean, true)
  const damaged = await checkExt(await replay('e2fsck/damaged'), '/dev/sdb1', 60_000, signal)
  t.equal(damaged.clean, false)
  t.match(damaged.output, /Root inode/)
  t.equal((await checkXfs(new ScriptedRunner([{ tool: 'xfs_repair', args: ['-n', '--', '/dev/sdb1'], exitCode: 1, stderr: 'bad' }]), '/dev/sdb1', 60_000, signal)).clean, false)
})

t.test('a table is written by a script in which the source\'s names cannot mean anything else', async t => {
  const { args, input } = await started(async r => writePartitionTable(r, '/dev/sda', {
    table: 'gpt', tableId: 'AA', sectorSizeBytes: 512, partitions: [{ number: 3, startBytes: 1 << 20, sizeBytes: 1 << 20, type: 'T', uuid: 'U', name: 'a", type=x\n/dev/sda9 : é', bootable: true }],
  }, 512, signal))
  t.equal(args.at(-1), '/dev/sda')
  t.equal(input, 'label: gpt\nlabel-id: AA\nunit: sectors\n\n/dev/sda3 : start=2048, size=2048, type=T, uuid=U, name="a\\x22\\x2c type\\x3dx\\x0a\\x2fdev\\x2fsda9 : \\xc3\\xa9", attrs="LegacyBIOSBootable"\n')
  await t.rejects(writePartitionTable(new ScriptedRunner([]), '/dev/sda', { table: 'dos', tableId: '0x1', sectorSizeBytes: 512, partitions: [{ number: 1, startBytes: 513, sizeBytes: 512, type: '83', uuid: '', name: '', bootable: false }] }, 512, signal), { code: 'VOLUME_LAYOUT' })
})

t.test('every tool gets names from outside behind --, and mke2fs no defaults of the appliance', async t => {
  const ext = { features: ['extent'], uuid: 'u', label: '-x', blockSizeBytes: 1024, inodeSizeBytes: 128, blockCount: 10, inodeCount: 5 }
  const xfs = { uuid: 'u', label: 'l', blockSizeBytes: 4096, inodeSizeBytes: 512, sectorSizeBytes: 512, metadata: ['crc=1'], inode: ['sparse=1'], naming: [], log: [], data: [] }
  const tuning = { label: 'l', reservedBlockCount: 1, defaultMountOptions: ['acl'], errorsBehavior: 'panic' as const, maximumMountCount: -1, checkIntervalSeconds: 0 }
  const calls: ((r: Runner) => Promise<unknown>)[] = [
    async r => makeExt(r, '-dev', ext, signal), async r => makeXfs(r, '-dev', xfs, true, signal), async r => makeSwap(r, '-dev', { uuid: 'u', label: '' }, signal), async r => tuneExt(r, '-dev', tuning, signal),
    async r => addPartitions(r, '-dev', signal), async r => forgetPartitions(r, '-dev', signal), async r => listSignatures(r, '-dev', signal),
    async r => checkExt(r, '-dev', 60_000, signal), async r => checkXfs(r, '-dev', 60_000, signal),
  ]
  for (const call of calls) {
    const { tool, args } = await started(call)
    t.ok(args.indexOf('--') >= 0 && args.indexOf('--') < args.indexOf('-dev'), `${tool} ${args.join(' ')}`)
  }
  t.same((await started(async r => makeExt(r, '/dev/x', ext, signal))).env, { MKE2FS_CONFIG: '/dev/null' })
  t.ok((await started(async r => makeExt(r, '/dev/x', ext, signal))).args.includes('none,extent'))
  t.ok((await started(async r => tuneExt(r, '/dev/x', tuning, signal))).args.join(' ').includes('^user_xattr'), 'a default that is not wanted is cleared')
  t.same((await started(async r => flushDevice(r, '/dev/x', signal))).args, ['--flushbufs', '/dev/x'])
})

t.test('a program of the replica is started in namespaces of its own, without the dangerous capabilities, with a fixed environment', async t => {
  const { tool, args, input } = await started(async r => runInRoot(r, '/place/root', 'update-initramfs', ['-u'], { timeoutMs: 1000, env: { A: 'b c' } }, signal))
  t.equal(tool, 'unshare')
  for (const flag of ['--mount', '--net', '--pid', '--ipc', '--uts', '--kill-child', '--no-new-privs', '--chroot=/place/root']) t.ok(args.includes(flag), flag)
  const dropped = args.find(a => a.startsWith('--drop='))?.slice('--drop='.length).split(',') ?? []
  for (const capability of ['cap_sys_admin', 'cap_mknod', 'cap_sys_chroot', 'cap_sys_module', 'cap_sys_ptrace', 'cap_sys_rawio', 'cap_net_admin', 'cap_bpf']) t.ok(dropped.includes(capability), capability)
  t.ok(args.findIndex(a => a.startsWith('--chroot=')) < args.findIndex(a => a.startsWith('--drop=')), 'the root is changed before the right to change it goes')
  t.same(args.slice(args.lastIndexOf('-i')), ['-i', 'PATH=/sbin:/usr/sbin:/usr/bin:/bin', 'LC_ALL=C', 'HOME=/root', 'TMPDIR=/tmp', 'DEBIAN_FRONTEND=noninteractive', 'A=b c', 'update-initramfs', '-u'])
  t.equal(input, '')
})

t.test('the namespace of a program of the replica lets other mounts go before the program starts', async t => {
  const { args } = await started(async r => runInRoot(r, '/place/root', 'true', [], { timeoutMs: 1000, letGo: ['/other one', '/two'] }, signal))
  const shell = args.indexOf('sh')
  t.ok(shell > args.indexOf('--mount'))
  t.same([args[shell + 1], ...args.slice(shell + 3, shell + 5)], ['-c', 'sh', '/place/root'])
  const groups = Number(args[shell + 5])
  t.same(args.slice(shell + 6 + groups, shell + 10 + groups), ['2', '/other one', '/two', 'prlimit'])
  t.match(args[shell + 2], /umount --lazy -- "\$1".*\n.*ro,nosuid,nodev,noexec -- proc "\$root\/proc".*\nexec "\$@"$/)
})
