/**
 * C15: every kernel's initramfs holds the drivers of the virtual hardware. They are listed persistently, so that the next kernel update keeps
 * them; the old image stays beside the new one; the new one is looked into before it is believed.
 */
import { DeviceReferences } from './device-references.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { listImage, missingInImage } from './initramfs-content.ts'
import { replicaKernels } from './replica-kernels.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

const MODULES = '/etc/initramfs-tools/modules'
const CONFIGURATION = '/etc/initramfs-tools/conf.d'
/** Read last, so that it wins over what the source chose for its own hardware. */
const OURS = `${CONFIGURATION}/zz-landfall`
const MARK = '# added by the migration: drivers of the virtual hardware'
const UPDATE_TIMEOUT_MS = 600_000

export const REBUILD_INITRAMFS: FixUp = {
  id: 'C15', title: 'rebuild the initramfs of every kernel with the drivers it needs', required: true, reusable: {},
  fix: async (replica: AssembledReplica, signal) => {
    const { files, plan, workload } = replica
    if (await files.kind('/usr/sbin/update-initramfs') !== 'file') throw fixUpFailed('update-initramfs is not installed on the replica')
    const kernels = await replicaKernels(files)
    await files.write(MODULES, withModules(await files.text(MODULES) ?? '', [...new Set(kernels.flatMap(k => k.modules))]))
    await files.write(OURS, await settings(files, new DeviceReferences(plan, workload)))
    const messages: string[] = []
    for (const kernel of kernels) {
      const image = `/boot/initrd.img-${kernel.version}`
      const exists = await files.kind(image) === 'file'
      if (exists && await files.kind(`${image}.pre-landfall`) === undefined) await files.copy(image, `${image}.pre-landfall`)
      await replica.run('update-initramfs', [exists ? '-u' : '-c', '-k', kernel.version], { timeoutMs: UPDATE_TIMEOUT_MS }, signal)
      const missing = await missingInImage(replica, kernel, await listImage(replica, image, signal))
      if (missing.length > 0) throw fixUpFailed(`the new initramfs of kernel ${kernel.version} lacks ${missing.join(', ')}`)
      messages.push(`initramfs of kernel ${kernel.version} rebuilt and looked into`)
    }
    return messages
  },
}

const RESUME = /^\s*RESUME=["']?([^"'\s]*)/
/** The names of the source's devices are of no use, also where the device is there. */
const GONE: ReadonlySet<string> = new Set(['missing', 'renamed'])
const SAYS_NO_DEVICE: ReadonlySet<string> = new Set(['', 'none', 'auto'])

/** /etc/initramfs-tools/modules that lists the drivers. Pure. */
export function withModules(text: string, drivers: readonly string[]): string {
  const listed = new Set(text.split('\n').map(line => line.trim().split(/\s+/)[0]?.replaceAll('-', '_')))
  const added = drivers.filter(d => !listed.has(d))
  if (added.length === 0) return text
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${MARK}\n${added.join('\n')}\n`
}

/** MODULES=most whatever the source says; RESUME only when the source's setting would not work here, which nothing says any more then. */
async function settings(files: ReplicaFiles, references: DeviceReferences): Promise<string> {
  let resume = ''
  const sources: ReplicaPath[] = ['/etc/initramfs-tools/initramfs.conf', ...(await files.names(CONFIGURATION)).map((n): ReplicaPath => `${CONFIGURATION}/${n}`).filter(p => p !== OURS)]
  for (const path of sources) {
    const text = await files.text(path) ?? ''
    const lines = text.split('\n').map(line => {
      const set = RESUME.exec(line)?.[1]
      resume = set ?? resume
      return set === undefined || SAYS_NO_DEVICE.has(set) || !GONE.has(references.look(set).kind) ? line : `# landfall: the replica has no such device: ${line}`
    })
    if (lines.join('\n') !== text) await files.write(path, lines.join('\n'))
  }
  return `# Made by the migration: the initramfs must boot on hardware that it was not made on.\nMODULES=most\n${resumeLine(resume, references)}`
}

/** The line to add for what the source's settings say ('' or auto: the tool looks for swap, and would find the appliance's). Pure. */
export function resumeLine(resume: string, references: DeviceReferences): string {
  if (resume === 'none') return ''
  if (resume !== '' && resume !== 'auto' && references.look(resume).kind === 'resolves' && references.isSwap(resume)) return ''
  const [swap] = references.swapUuids()
  return swap === undefined ? 'RESUME=none\n' : `RESUME=UUID=${swap}\n`
}
