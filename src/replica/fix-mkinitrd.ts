/** C15 for systems with mkinitrd: Red Hat 5 names its drivers in modprobe.conf and on the command line, SUSE 11 in /etc/sysconfig/kernel. */
import type { ReplicaPlan } from '../domain/replica.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { hasProgram, listImage, missingInImage } from './initramfs-content.ts'
import { replicaKernels, type ReplicaKernel } from './replica-kernels.ts'
import { settingOf, withSettings } from './shell-settings.ts'
import { driverOf } from './virtual-hardware.ts'

const MODPROBE = '/etc/modprobe.conf'
const SUSE_KERNEL = '/etc/sysconfig/kernel'
const BUILD_TIMEOUT_MS = 900_000
/** Drivers of other hypervisors, which would be loaded first and find nothing. */
const FOREIGN = /^(?:xen[a-z]*|virtio[a-z_]*|hv_[a-z]+|ata_piix|piix|aacraid|megaraid[a-z_]*|cciss|hpsa|mpt2sas|mpt3sas|3w[-_][a-z0-9]+|aic7xxx|aic79xx|qla2xxx|lpfc)$/

export const REBUILD_RED_HAT_5: FixUp = {
  id: 'C15', title: 'rebuild the initrd of every kernel with the drivers it needs', required: true, reusable: {},
  fix: async (replica: AssembledReplica, signal) => {
    const { files, plan } = replica
    const text = await files.text(MODPROBE) ?? ''
    const aliases = withHardwareAliases(text, driverOf(plan.controller), plan.adapters.map(a => ({ name: a.sourceName, driver: driverOf(a.type) })))
    if (aliases !== text) await files.write(MODPROBE, aliases)
    return await rebuild(replica, version => `/boot/initrd-${version}.img`, ({ modules, version }, image) => ['-f', ...modules.flatMap(m => [`--with=${m}`]), ...isRootLogical(plan) ? ['--force-lvm-probe'] : [], `--preload=${driverOf(plan.controller)}`, image, version], signal)
  },
}

export const REBUILD_SUSE_11: FixUp = {
  id: 'C15', title: 'rebuild the initrd of every kernel with the drivers it needs', required: true, reusable: {},
  fix: async (replica: AssembledReplica, signal) => {
    const { files, plan } = replica
    const text = await files.text(SUSE_KERNEL)
    if (text === undefined) throw fixUpFailed(`the replica has no ${SUSE_KERNEL}, which says what is in its initrd`)
    const kernels = await replicaKernels(files)
    const fixed = withInitrdModules(text, [...new Set(kernels.flatMap(k => k.modules))])
    if (fixed !== text) await files.write(SUSE_KERNEL, fixed)
    let done = false
    return await rebuild(replica, version => `/boot/initrd-${version}`, () => {
      if (done) return undefined // without arguments it makes those of all kernels
      done = true
      return isRootLogical(plan) ? ['-f', 'lvm2'] : []
    }, signal)
  },
}

/** These programs ask LVM whether the root is a logical volume, and it cannot answer them here: they are told. */
function isRootLogical({ volumes }: Pick<ReplicaPlan, 'volumes'>): boolean {
  return volumes.some(v => v.volume.mountPoint === '/' && v.logicalVolume !== undefined)
}

/** modprobe.conf with the aliases that mkinitrd and the network scripts of Red Hat 5 go by. Pure. */
export function withHardwareAliases(text: string, controller: string, adapters: readonly { name: string, driver: string }[]): string {
  const names = new Set(adapters.map(a => a.name))
  const kept = text.split('\n').filter(line => {
    const alias = /^\s*alias\s+(\S+)\s/.exec(`${line} `)?.[1]
    return alias === undefined || (!/^scsi_hostadapter\d*$/.test(alias) && !names.has(alias))
  })
  const body = kept.join('\n').replace(/\n+$/, '')
  const added = [...adapters.map(a => `alias ${a.name} ${a.driver}`), `alias scsi_hostadapter ${controller}`]
  return `${body}${body === '' ? '' : '\n'}${added.join('\n')}\n`
}

/** /etc/sysconfig/kernel whose INITRD_MODULES are those of the virtual hardware, with what of the old ones is no driver of old hardware. Pure. */
export function withInitrdModules(text: string, drivers: readonly string[]): string {
  const old = (settingOf(text, 'INITRD_MODULES') ?? '').split(/\s+/).filter(m => m !== '' && !FOREIGN.test(m.replaceAll('-', '_')))
  return withSettings(text, undefined, { INITRD_MODULES: [...new Set([...drivers, ...old])].join(' ') })
}

async function rebuild(replica: AssembledReplica, imageOf: (version: string) => string, argumentsFor: (kernel: ReplicaKernel, image: string) => readonly string[] | undefined, signal: AbortSignal): Promise<readonly string[]> {
  const { files, run } = replica
  if (!await hasProgram(replica, 'mkinitrd')) throw fixUpFailed('mkinitrd is not installed on the replica')
  const kernels = await replicaKernels(files)
  for (const { version } of kernels) {
    const image = imageOf(version)
    if (await files.kind(image) === 'file' && await files.kind(`${image}.pre-landfall`) === undefined) await files.copy(image, `${image}.pre-landfall`)
  }
  const messages: string[] = []
  for (const kernel of kernels) {
    const image = imageOf(kernel.version)
    const args = argumentsFor(kernel, image)
    if (args !== undefined) await run('mkinitrd', args, { timeoutMs: BUILD_TIMEOUT_MS }, signal)
    if (await files.kind(image) !== 'file') throw fixUpFailed(`mkinitrd made no ${image}`)
    const missing = await missingInImage(replica, kernel, await listImage(replica, image, signal))
    if (missing.length > 0) throw fixUpFailed(`the new initrd of kernel ${kernel.version} lacks ${missing.join(', ')}`)
    messages.push(`initrd of kernel ${kernel.version} rebuilt and looked into`)
  }
  return messages
}
