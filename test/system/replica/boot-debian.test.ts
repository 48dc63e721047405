/** The boot fix-ups on a real Debian tree (the lab's cached one), on loop disks, with the tree's own programs. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runInRoot } from '../../../src/command/chroot.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { FixUpReport } from '../../../src/domain/replica.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import { isSystemAsRehearsed, makeBootable, rehearseBoot, restoreReplica } from '../../../src/replica/boot.ts'
import { menuEntries } from '../../../src/replica/grub-menu.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { partitionDevice, type MountedVolume } from '../../../src/storage/volume-stack.ts'
import { makeLoopDisks, mountPoints, noLoopDisks, type LoopDisks } from '../../contract/loop-disks.ts'
import { debian12, ext4, MIB, options, places, swap, volume } from '../../unit/replica/workloads.ts'

const CACHE = join(import.meta.dirname, '../../../.lab/cache')
const ROOT_UUID = '0a0a0a0a-0000-4000-8000-000000000011'
const BOOT_UUID = '0a0a0a0a-0000-4000-8000-000000000012'
const SWAP_UUID = '0a0a0a0a-0000-4000-8000-000000000013'
const ROOT_BYTES = 1600 * MIB
const BOOT_BYTES = 400 * MIB

function rootTree(): string | undefined {
  const [name] = readdirSync(CACHE, { withFileTypes: true }).filter(e => e.isFile() && /^root-.*[.]tar$/.test(e.name)).map(e => e.name).sort()
  return name === undefined ? undefined : join(CACHE, name)
}

function skipReason(): string | false {
  const loops = noLoopDisks()
  if (loops !== false) return loops
  let tree: string | undefined
  try { tree = rootTree() } catch { tree = undefined }
  if (tree !== undefined) return false
  if (process.env['REQUIRE_SYSTEM'] === '1') throw new Error('the lab has no cached root tree: run "npm run lab -- migrate" once')
  return 'needs the cached root tree of the lab'
}

/** MBR, /boot apart, swap in a partition: names of the old disks wherever a person might have left them. */
function source(): Workload {
  const workload = debian12()
  workload.disks = [{ name: 'vda', sizeBytes: 2100 * MIB, sectorSizeBytes: 512, table: 'dos', tableId: '0x0badcafe', partitions: [
    { number: 1, startBytes: MIB, sizeBytes: BOOT_BYTES, type: '83', uuid: '0badcafe-01', name: '', bootable: true },
    { number: 2, startBytes: MIB + BOOT_BYTES, sizeBytes: ROOT_BYTES, type: '83', uuid: '0badcafe-02', name: '', bootable: false },
    { number: 3, startBytes: MIB + BOOT_BYTES + ROOT_BYTES, sizeBytes: 64 * MIB, type: '82', uuid: '0badcafe-03', name: '', bootable: false },
  ] }]
  workload.volumes = [
    volume('vda', 2, '/', ext4(ROOT_UUID, ROOT_BYTES, 'root'), ROOT_BYTES), volume('vda', 1, '/boot', ext4(BOOT_UUID, BOOT_BYTES), BOOT_BYTES), volume('vda', 3, undefined, swap(SWAP_UUID), 64 * MIB),
  ]
  workload.adapters = workload.adapters.slice(0, 1)
  return workload
}

const PREPARE = `
set -e; cd "$1"; mv boot/* "$2"/
printf '/dev/vda2 / ext4 errors=remount-ro 0 1\\nUUID=${BOOT_UUID} /boot ext4 defaults 0 2\\n/dev/vda3 none swap sw 0 0\\n/dev/vdb1 /gone xfs defaults 0 2\\n' > etc/fstab
echo MODULES=dep > etc/initramfs-tools/conf.d/modules; rm -f etc/initramfs-tools/conf.d/resume
mkdir -p etc/default/grub.d etc/landfall var/lib/landfall-agent; echo key > etc/landfall/agent.json; echo queue > var/lib/landfall-agent/queue
printf 'GRUB_CMDLINE_LINUX="console=ttyS0 resume=/dev/vda3"\\n' > etc/default/grub.d/site.cfg
printf '(hd0) /dev/vda\\n' > "$2"/grub/device.map
`

const asRehearsed = (report: FixUpReport | undefined): string[] => report?.results.filter(({ messages }) => messages.some(message => message.startsWith('as the rehearsal made it'))).map(({ id }) => id) ?? []
const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

interface Fixture { disks: LoopDisks, runner: ExecaRunner, stack: LinuxVolumeStack, workload: Workload, mounted: readonly MountedVolume[], device: string, signal: AbortSignal }

async function prepare(): Promise<Fixture & Disposable> {
  const workload = source()
  const plan = planReplica({ jobId: 'boot', workload, options: options(), places: places() })
  const disks = makeLoopDisks(plan.disks.map(d => d.sizeBytes))
  try {
    const signal = AbortSignal.timeout(1_000_000)
    const runner = new ExecaRunner()
    const stack = new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state'), devicesBySerial: join(disks.directory, 'by-serial') })
    const device = await stack.deviceOf(disks.diskUuids[0] ?? '', signal)
    const [disk] = plan.disks
    if (disk !== undefined) await stack.partition(device, disk, signal)
    const placed = plan.volumes.map(v => ({ volume: v, device: partitionDevice(device, v.partition) }))
    for (const p of placed) await stack.format(p.device, p.volume, signal)
    const mounted = await stack.mount('boot', placed, signal)
    const [root = '', boot = ''] = mounted.map(m => m.mountPoint)
    execFileSync('tar', ['-C', root, '--numeric-owner', '--xattrs', '--xattrs-include=*', '-xpf', rootTree() ?? ''])
    execFileSync('sh', ['-c', PREPARE, 'sh', root, boot])
    workload.machineId = readFileSync(join(root, 'etc/machine-id'), 'utf8').trim()
    return { disks, runner, stack, workload, mounted, device, signal, [Symbol.dispose]: () => { disks[Symbol.dispose]() } }
  } catch (error) {
    disks[Symbol.dispose]()
    throw error
  }
}

t.test('the boot fix-ups of a Debian system', { skip: skipReason(), timeout: 1_100_000 }, async t => {
  using f = await prepare()
  const { runner, stack, workload, mounted, device, signal, disks } = f
  const [root = '', boot = ''] = mounted.map(m => m.mountPoint)
  const plan = planReplica({ jobId: 'boot', workload, options: options(), places: places() })
  const request = { jobId: 'boot', plan, workload, options: options(), volumes: stack, mounted, built: { disks: [{ path: plan.disks[0]?.path ?? '', sizeBytes: plan.disks[0]?.sizeBytes ?? 1, uuid: disks.diskUuids[0] ?? '' }] } }
  const reports: FixUpReport[] = []
  const parts = { runner, layers: join(disks.directory, 'layers'), keepReport: async (report: FixUpReport) => { reports.push(structuredClone(report)) } }
  const unchanged = async (): Promise<void> => { await Promise.resolve() }
  /** what a comparison with the source would see; a directory's own size is its file system's affair */
  const seen = (): string => mounted.map(m => execFileSync('sh', ['-c', 'find . -xdev ! -name lost+found -printf "%P %y %l %T@ %m %U %G %n\\n" | sort; find . -xdev -type f \\( -path "./etc/*" -o -path "./grub/*" -o -path "./initrd*" \\) -exec sha256sum {} + | sort'], { cwd: m.mountPoint, encoding: 'utf8', maxBuffer: 64 << 20 })).join('')
  const sectors = (): Buffer => execFileSync('head', ['-c', '1048576', device])
  const read = (path: string): string => readFileSync(path.startsWith('/boot/') ? join(boot, path.slice(6)) : join(root, path), 'utf8')

  await t.test('programs of the source see their own disk and nothing else, and have no network and no devices to make', async t => {
    const assembled = await stack.assemble('boot', mounted, [device], signal)
    const say = async (script: string): Promise<string> => (await runInRoot(runner, assembled, 'sh', ['-c', script], { timeoutMs: 30_000 }, signal)).stdout.trim()
    t.equal(await say('mknod /tmp/disk b 7 0 2>/dev/null && echo made; mount -t tmpfs x /mnt 2>/dev/null && echo mounted; chroot / true 2>/dev/null && echo chrooted; true'), '')
    t.equal(await say('ls /sys/firmware; cat /proc/net/dev | tail -n +3 | grep -v " *lo:"; true'), '')
    t.same((await say('find /dev -type b | sort')).split('\n'), [device, ...[1, 2, 3].map(n => partitionDevice(device, n))])
    t.equal(await say('kill -0 2 2>/dev/null; ls /proc | grep -c "^[0-9]*$"').then(n => Number(n) < 6), true, 'no process but its own')
    t.equal(await say('cat'), '', 'its input is empty')
    t.equal(await say('echo x > /sys/kernel/uevent_helper 2>/dev/null && echo wrote; true'), '')
    await stack.disassemble('boot', signal)
  })

  await t.test('a required fix-up that fails stops with BOOT_FIXUP_FAILED, a report, and the volumes still mounted', async t => {
    const broken = { ...request, workload: { ...workload, machineId: 'x' }, plan: { ...plan, controller: 'lsilogic' as const, adapters: plan.adapters.map(a => ({ ...a, type: 'e1000' as const })) } }
    await t.rejects(makeBootable(parts, broken, unchanged, signal), { code: 'BOOT_FIXUP_FAILED', message: /C05.*e1000/ })
    t.match(reports.pop(), { succeeded: false, results: [{ id: 'C03' }, { id: 'C05', outcome: 'failed', changed: [] }] })
    t.same(mountPoints(disks.directory).filter(p => p.endsWith('/root') || p.includes('/root/')), [], 'it is taken apart')
    t.match(read('etc/fstab'), /vda2/, 'and nothing was changed')
  })

  await t.test('a rehearsal runs all of them, shows how each file would change, and changes nothing', async t => {
    const all = (): string => mounted.map(m => execFileSync('find', [m.mountPoint, '-xdev', '-printf', '%P %y %s %T@ %C@ %m\\n'], { encoding: 'utf8', maxBuffer: 64 << 20 })).join('')
    const [tree, start] = [all(), sectors()]
    const warnings = (await rehearseBoot(parts, request, signal)).filter(x => x.severity !== 'ok')
    t.same(warnings, [])
    const report = reports.pop()
    t.match(report, { succeeded: true, rehearsal: true })
    t.same(report?.results.flatMap(r => r.changed).find(c => c.path === '/etc/fstab')?.diff, `-/dev/vda2 / ext4 errors=remount-ro 0 1\n+UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1\n UUID=${BOOT_UUID} /boot ext4 defaults 0 2\n-/dev/vda3 none swap sw 0 0\n-/dev/vdb1 /gone xfs defaults 0 2\n+UUID=${SWAP_UUID} none swap sw 0 0\n+# landfall: not migrated: /dev/vdb1 /gone xfs defaults 0 2\n`)
    for (const id of ['C08', 'C15', 'C16', 'C17']) t.ok(report?.results.some(r => r.id === id && r.outcome !== 'failed'), id)
    t.equal(all() === tree, true, 'every file and directory is as it was')
    t.equal(sectors().equals(start), true, 'and the beginning of the disk')
    t.same(mountPoints(disks.directory).filter(p => p.includes('layers')), [], 'nothing of it is left')
  })

  await t.test('a rehearsal that fails changes nothing either, and says why', async t => {
    const broken = { ...request, plan: { ...plan, adapters: plan.adapters.map(a => ({ ...a, type: 'e1000' as const })), controller: 'lsilogic' as const } }
    await t.rejects(rehearseBoot(parts, broken, signal), { code: 'BOOT_FIXUP_FAILED', message: /nothing was changed/ })
    t.match(reports.pop(), { succeeded: false, rehearsal: true })
    t.same(mountPoints(disks.directory).filter(p => p.includes('layers')), [])
  })

  const blank = sectors()

  await t.test('in earnest, too, one that fails behind the boot loader leaves every file as it was; what was written to the disk is put back', async t => {
    const grubInstall = join(root, 'usr/sbin/grub-install')
    const { atime, mtime } = statSync(join(root, 'usr/sbin'))
    renameSync(grubInstall, `${grubInstall}.real`)
    writeFileSync(grubInstall, '#!/bin/sh\n/usr/sbin/grub-install.real "$@"\nexit 9\n', { mode: 0o755 })
    const before = seen()
    let changed = false
    await t.rejects(makeBootable(parts, request, async () => { changed = true; await unchanged() }, signal), { code: 'BOOT_FIXUP_FAILED', message: /C17[^]*on a layer over the replica: nothing was changed/ })
    t.notOk(changed)
    t.same(asRehearsed(reports.at(-1)), [], 'a program of the system is another one than in the rehearsal: the initramfs was made anew')
    t.equal(seen() === before, true, 'every file and directory is as it was')
    t.notOk(sectors().equals(blank), 'the disk was written to')
    t.same(await restoreReplica(parts, request, signal), { found: false })
    t.ok(sectors().equals(blank), 'and is as it was')
    renameSync(`${grubInstall}.real`, grubInstall)
    utimesSync(join(root, 'usr/sbin'), atime, mtime)
    t.same(mountPoints(disks.directory).filter(p => p.includes('layer')), [], 'no layer is left')
  })

  const startedMs = Math.floor(Date.now() / 1000) * 1000
  const untouched = seen()
  const findings = await makeBootable(parts, request, unchanged, signal)
  const report = reports.at(-1)

  await t.test('all of them succeed and warn of nothing', async t => {
    t.same(findings.filter(x => x.severity !== 'ok'), [])
    t.ok(report?.succeeded)
  })

  await t.test('fstab, command line and boot menu name what the replica has', async t => {
    t.equal(read('etc/fstab'), `UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1\nUUID=${BOOT_UUID} /boot ext4 defaults 0 2\nUUID=${SWAP_UUID} none swap sw 0 0\n# landfall: not migrated: /dev/vdb1 /gone xfs defaults 0 2\n`)
    const [entry] = menuEntries(read('/boot/grub/grub.cfg'))
    t.match(entry, { root: `UUID=${ROOT_UUID}`, resume: `UUID=${SWAP_UUID}`, searched: [BOOT_UUID] })
    for (const path of [entry?.kernel ?? '?', ...entry?.initrds ?? ['?']]) t.ok(statSync(join(boot, path)).size > 1000, path)
    t.equal(read('/boot/grub/device.map'), '(hd0)\t/dev/sda\n')
  })

  await t.test('the initramfs has the drivers, asked of a tool that is not the product', async t => {
    const image = readdirSync(boot).find(n => /^initrd[.]img-.*amd64$/.test(n)) ?? ''
    const inside = (await runInRoot(runner, await stack.assemble('boot', mounted, [device], signal), 'lsinitramfs', [`/boot/${image}`], { timeoutMs: 60_000 }, signal)).stdout
    await stack.disassemble('boot', signal)
    for (const name of ['vmw_pvscsi.ko', 'vmxnet3.ko', 'sd_mod.ko', 'ext4.ko', '10-landfall-ens3.link']) t.match(inside, name)
    t.ok(readdirSync(boot).includes(`${image}.pre-landfall`))
  })

  await t.test('the boot loader is in the first sector and behind it', async t => {
    const start = execFileSync('head', ['-c', '65536', device])
    t.ok(start.includes('GRUB '), 'boot.img')
    t.ok(start.subarray(512).some(byte => byte !== 0), 'core.img')
    t.equal(start.subarray(440, 444).readUInt32LE().toString(16), 'badcafe', 'the signature is the source\'s')
  })

  await t.test('our agent is gone', async t => {
    t.throws(() => statSync(join(root, 'etc/landfall')), { code: 'ENOENT' })
    t.throws(() => statSync(join(root, 'var/lib/landfall-agent')), { code: 'ENOENT' })
  })

  await t.test('the report names every file that is not as it was', async t => {
    const listed = new Set(report?.results.flatMap(r => r.changed.map(c => c.path)))
    const changed = mounted.flatMap(m => execFileSync('find', [m.mountPoint, '-xdev', '-mindepth', '1', '-newermt', `@${String(startedMs / 1000)}`, '-printf', '%P\\n'], { encoding: 'utf8' }).split('\n').filter(Boolean)
      .map(path => `${m.volume.volume.mountPoint === '/' ? '' : m.volume.volume.mountPoint ?? ''}/${path}`))
    t.same(changed.filter(path => !listed.has(path)), [])
    t.ok(changed.length > 10)
  })

  await t.test('what was brought to the volumes can be taken back, until it is all as it was', async t => {
    const installed = sectors()
    t.not(seen(), untouched)
    const before = read('etc/fstab') + read('etc/initramfs-tools/modules') + read('/boot/grub/grub.cfg')
    t.same(await restoreReplica(parts, request, signal), { found: true })
    t.equal(seen() === untouched, true)
    t.ok(sectors().equals(blank))
    t.same(await restoreReplica(parts, request, signal), { found: false }, 'once is enough')
    t.notOk(await isSystemAsRehearsed(parts, request, signal), 'it was changed and taken back')
    await rehearseBoot(parts, request, signal)
    t.ok(await isSystemAsRehearsed(parts, request, signal))
    t.notOk(await isSystemAsRehearsed(parts, { ...request, plan: { ...plan, controller: 'lsilogic' } }, signal), 'for other hardware it is not')
    await makeBootable(parts, request, async () => { await Promise.resolve(); t.equal(seen() === untouched, true, 'nothing is changed before all has passed') }, signal)
    t.same(asRehearsed(reports.at(-1)), ['C15', 'C17', 'C17d'], 'what takes long is what the rehearsal made')
    t.ok(sectors().equals(installed), 'the boot loader on the disk is the same, too')
    t.equal(read('etc/fstab') + read('etc/initramfs-tools/modules') + read('/boot/grub/grub.cfg'), before, 'and done again it ends in the same')
    const image = readdirSync(boot).find(n => /^initrd[.]img-.*amd64$/.test(n)) ?? ''
    const made = hash(join(boot, image))
    t.ok(readdirSync(join(disks.directory, 'layers/boot-rehearsed/C15')).some(name => hash(join(disks.directory, 'layers/boot-rehearsed/C15', name)) === made))
    t.not(made, hash(join(boot, `${image}.pre-landfall`)))
    t.same(await restoreReplica(parts, request, signal), { found: true })
    t.equal(seen() === untouched, true, 'it can be taken back, too')
  })

  await t.test('the disks come out clean', async t => {
    await stack.release('boot', [device], signal)
    t.same(mountPoints(disks.directory), [])
  })
})
