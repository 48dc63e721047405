/**
 * What fat-guest.test.ts runs in its guest: an EFI system partition of a source on /dev/vda becomes one of a replica on /dev/vdb, with the product's own
 * code. It tells what it sees in lines that begin with "@ ".
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { PlannedVolume } from '../../../src/domain/replica.ts'
import type { FileSystem } from '../../../src/domain/volume.ts'
import { ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { isAppError } from '../../../src/errors/app-error.ts'
import { verifyVolumes } from '../../../src/mirror/verifier.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import type { MountedVolume } from '../../../src/storage/volume-stack.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openReplicaVolume } from '../../../src/tree/posix-target-tree.ts'
import { describeFileSystem } from '../../../src/workload/describe-file-system.ts'
import { readMounts } from '../../../src/workload/mount-table.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { apply, file, remove, rename } from '../../zoo/tree-pair.ts'
import { mirrorBetween } from '../../zoo/mirror-between.ts'

const SOURCE = '/mnt'
const runner = new ExecaRunner()
const signal = AbortSignal.timeout(800_000)
const tool = (name: string, ...args: string[]): string => execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const at = (path: string): string => join(SOURCE, path)
const report = (): void => undefined

function tell(what: string, value: unknown): void {
  process.stdout.write(`@ ${what} ${typeof value === 'string' ? value : JSON.stringify(value)}\n`)
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(() => 'done', (error: unknown) => isAppError(error) ? error.code : String(error))
}

/** Every name with its content, as one line. */
function contentOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).map(e => {
    const path = join(e.parentPath, e.name)
    return `${path.slice(directory.length + 1)}${e.isDirectory() ? '/' : ` ${String(statSync(path).mtimeMs)} ${readFileSync(path).toString('base64').slice(0, 60)}`}`
  }).sort()
}

async function describe(device: string, mountPoint: string): Promise<FileSystem> {
  const mounts = (await readMounts('/proc', '/', report)).filter(m => m.mountPoint === mountPoint)
  const found = await describeFileSystem({ runner, device, mounts, report: f => { tell('finding', f) }, signal })
  if (found === undefined) throw new Error(`nothing on ${device}`)
  return { ...found.fileSystem, usedBytes: 0 }
}

// a source as an installer leaves it, but with rights of its own, and geometry that mkfs would not choose
tool('mkfs.vfat', '-F', '16', '-i', 'C0FFEE01', '-n', 'EFI', '-s', '8', '-R', '6', '-a', '-r', '256', '--mbr=n', '-I', '/dev/vda')
tool('mount', '-t', 'vfat', '-o', 'rw,fmask=0177,dmask=0077,uid=7,gid=8,codepage=437,iocharset=ascii,shortname=mixed,utf8', '/dev/vda', SOURCE)
mkdirSync(at('EFI/debian'), { recursive: true })
mkdirSync(at('EFI/BOOT'))
writeFileSync(at('EFI/debian/grubx64.efi'), Buffer.alloc(2_000_000, 'grub'))
writeFileSync(at('EFI/debian/Großer Name, nicht 8.3.cfg'), 'search.fs_uuid')
writeFileSync(at('EFI/BOOT/BOOTX64.EFI'), Buffer.alloc(900_001, 'shim'))
writeFileSync(at('empty'), '')
utimesSync(at('EFI/debian/grubx64.efi'), 1_600_000_001, 1_600_000_001)
const fileSystem = await describe('/dev/vda', SOURCE)
const options = (await readMounts('/proc', '/', report)).find(m => m.mountPoint === SOURCE)?.options ?? ''
tell('properties', fileSystem.properties)

const planned: PlannedVolume = {
  index: 0, disk: 0, partition: 0,
  volume: { name: '/boot/efi', device: '/dev/vda', mountPoint: '/boot/efi', mountOptions: options, sizeBytes: 32 << 20, fileSystem, disk: 'vda', partition: 0, required: true },
}
const placed = [{ device: '/dev/vdb', volume: planned }]
const stack = new LinuxVolumeStack({ runner, stateDirectory: '/state' })
const mount = async (): Promise<MountedVolume> => {
  const [mounted] = await stack.mount('job1', placed, signal)
  if (mounted === undefined) throw new Error('nothing was mounted')
  return mounted
}
tool('mkfs.vfat', '-F', '16', '-i', 'C0FFEE01', '-n', 'LANDFALLNEW', '--mbr=n', '-I', '/dev/vdb') // a making that was interrupted
for (let i = 0; i < 2; i++) await stack.format('/dev/vdb', planned, signal)
let replica = await mount()
tell('unmarked', await codeOf(openReplicaVolume(replica.mountPoint, 'job1/0', signal)))
await stack.mark([replica], signal)
await stack.release('job1', ['/dev/vdb'], signal)
replica = await mount()
tell('marked by another', await codeOf(stack.mark([{ ...replica, volumeId: 'job2/0' }], signal)))
await stack.mark([replica], signal)

const mirror = async (): Promise<string> => {
  const { filesFound, filesSkipped, all } = await mirrorBetween(SOURCE, replica.mountPoint)
  return `${String(filesFound - filesSkipped)} sent, findings ${JSON.stringify(all)}`
}
await mirror()
tell('second mirror', await mirror())
tool('umount', SOURCE) // times and names as the disk has them, not as the kernel remembers
tool('mount', '-t', 'vfat', '-o', 'rw,umask=0022,codepage=437,iocharset=ascii,shortname=mixed,utf8', '/dev/vda', SOURCE)
await stack.release('job1', ['/dev/vdb'], signal)
replica = await mount()
tell('third mirror, with other rights and all read from the disk', await mirror())
tell('mark', readFileSync(join(replica.mountPoint, '.landfall-volume'), 'utf8'))

{
  await using target = await openReplicaVolume(replica.mountPoint, 'job1/0', signal)
  await using from = await openPosixSourceTree(SOURCE, signal)
  const hostile = await apply(target, file('.landfall-volume', 'job9/9'), file('.LANDFALL-VOLUME', 'x'), remove('.Landfall-Volume'), rename('empty', '.landfall-volume'))
  tell('the mark is refused', hostile.failures.map(f => f.errno))
  await using changes = await openFanotifyChangeSource({ volumes: new Map([[0, SOURCE]]), clock: systemClock }, signal)
  const { replicator, findings } = treeReplicator(from, changes, new TreeStream(new Map([[0, target]])))
  writeFileSync(at('EFI/debian/grubx64.efi'), Buffer.alloc(1_000_000, 'new grub'))
  writeFileSync(at('EFI/BOOT/fbx64.efi'), 'fallback')
  renameSync(at('EFI/debian/Großer Name, nicht 8.3.cfg'), at('EFI/debian/grub.cfg'))
  renameSync(at('empty'), at('EMPTY'))
  mkdirSync(at('EFI/gone'))
  rmSync(at('EFI/gone'), { recursive: true })
  await replicator.drain({}, signal)
  await target.flush(signal)
  tell('replication', findings)
}
{
  await using target = await openReplicaVolume(replica.mountPoint, 'job1/0', signal)
  await using from = await openPosixSourceTree(SOURCE, signal)
  const found: unknown[] = []
  const root = await target.look(ROOT_PATH, signal)
  await verifyVolumes({
    volumes: new Map([[0, from]]), roots: new Map(root === undefined ? [] : [[0, root]]), stream: new TreeStream(new Map([[0, target]])), by: 'data', clock: systemClock, report,
    differences: async d => { found.push(...d.map(({ path, aspects }) => [Buffer.from(path, 'base64').toString(), aspects])); return Promise.resolve() },
  }, signal)
  tell('verification', found)
}
await stack.unmark([replica], signal)
tell('equal', JSON.stringify(contentOf(SOURCE)) === JSON.stringify(contentOf(replica.mountPoint)) ? 'yes' : [contentOf(SOURCE), contentOf(replica.mountPoint)])
await stack.release('job1', ['/dev/vdb'], signal)
tell('described alike', JSON.stringify(await describe('/dev/vdb', '/nowhere')) === JSON.stringify({ ...fileSystem }) ? 'yes' : [await describe('/dev/vdb', '/nowhere'), fileSystem])

// the appliance lost its power while it was mounted: the kernel has set the mark of that on the disk
const device = openSync('/dev/vdb', 'r+')
writeSync(device, Buffer.of(1), 0, 1, 37)
closeSync(device)
replica = await mount()
await stack.release('job1', ['/dev/vdb'], signal)
tell('after a power loss', 'clean')
