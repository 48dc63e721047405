/** What an initramfs holds, asked of the replica's own tools, and what the replica needs of it. */
import { openedForRoot } from './fix-crypttab.ts'
import { fixUpFailed, type AssembledReplica } from './fix-up.ts'
import { moduleNames, type ReplicaKernel } from './replica-kernels.ts'
import type { ReplicaPath } from './replica-files.ts'
import { driverOf } from './virtual-hardware.ts'

const LIST_TIMEOUT_MS = 120_000
/** Images of Red Hat 5 and SUSE 11 are one compressed archive, and their systems have no tool that lists it. */
const LIST_ARCHIVE = 'case $(head -c 2 "$1" | od -An -tx1 | tr -d " ") in 1f8b) gzip -dc "$1";; *) cat "$1";; esac | cpio -it --quiet'
const LISTERS = [['lsinitramfs', []], ['lsinitrd', []]] as const
const PLACES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** Paths of the files in the image, one a line. @throws {AppError} TOOL_FAILED, TOOL_TIMEOUT; BOOT_FIXUP_FAILED when nothing can be listed */
export async function listImage(replica: AssembledReplica, image: ReplicaPath, signal: AbortSignal): Promise<readonly string[]> {
  let listed: string | undefined
  for (const [tool] of LISTERS) {
    if (listed !== undefined || !await hasProgram(replica, tool)) continue
    listed = (await replica.run(tool, [image], { timeoutMs: LIST_TIMEOUT_MS }, signal)).stdout
  }
  listed ??= (await replica.run('sh', ['-c', LIST_ARCHIVE, 'sh', image], { timeoutMs: LIST_TIMEOUT_MS }, signal)).stdout
  // lsinitrd writes as ls -l does; a link has its target behind the name
  const paths = listed.split('\n').map(line => line.replace(/ -> .*$/, '').trim().split(/\s+/).at(-1) ?? '').filter(Boolean)
  if (paths.length === 0) throw fixUpFailed(`nothing is in ${image}, or it cannot be listed`)
  return paths
}

/** What the replica needs to find its root and is neither in the image nor in the kernel. */
export async function missingInImage({ files, plan }: AssembledReplica, kernel: ReplicaKernel, paths: readonly string[]): Promise<readonly string[]> {
  const inside = moduleNames(paths.filter(path => /[.]ko(?:[.](?:gz|xz|zst))?$/.test(path)).join('\n'))
  const builtIn = moduleNames(await files.text(`/lib/modules/${kernel.version}/modules.builtin`) ?? '')
  const known = await files.text(`/lib/modules/${kernel.version}/modules.builtin`) !== undefined
  const root = plan.volumes.find(v => v.volume.mountPoint === '/')
  const rootType = root?.volume.fileSystem.type ?? 'ext4'
  const isEncrypted = openedForRoot(plan).size > 0
  const needed = [...isEncrypted ? ['dm_crypt'] : [], driverOf(plan.controller), 'sd_mod', ...plan.adapters.map(a => driverOf(a.type)), fileSystemDriver(rootType, inside, builtIn)]
  // the first kernels with no such list have their disk driver and ext3 built in as often as not
  const missing = [...new Set(needed)].filter(driver => !inside.has(driver) && !builtIn.has(driver) && (known || kernel.modules.includes(driver)))
  const programs = new Set(paths.map(path => path.split('/').at(-1)))
  if (root?.logicalVolume !== undefined && !programs.has('lvm')) missing.push('lvm')
  if (isEncrypted && !programs.has('cryptsetup') && !programs.has('systemd-cryptsetup')) missing.push('cryptsetup')
  return missing
}

/** ext4's driver reads ext2 and ext3; older kernels have one for each. */
function fileSystemDriver(type: string, inside: ReadonlySet<string>, builtIn: ReadonlySet<string>): string {
  if (!/^ext[234]$/.test(type)) return type
  return type !== 'ext4' && (inside.has(type) || builtIn.has(type)) ? type : 'ext4'
}

/** Whether a program of that name is where programs are. */
export async function hasProgram({ files }: Pick<AssembledReplica, 'files'>, name: string): Promise<boolean> {
  for (const place of PLACES) if (await files.kind(`${place}/${name}`) === 'file') return true
  return false
}
