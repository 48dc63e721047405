/**
 * C15 for systems with dracut (Red Hat 6 and later, SUSE 12 and later): the drivers are configured persistently, the image of each kernel is made anew for
 * any hardware, the old one stays beside it, and the new one is looked into.
 */
import { DeviceReferences } from './device-references.ts'
import { CRYPTTAB, openedForRoot } from './fix-crypttab.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { hasProgram, listImage, missingInImage } from './initramfs-content.ts'
import { NETWORKD, PERSISTENT_RULES } from './network-files.ts'
import type { ReplicaPath } from './replica-files.ts'
import { replicaKernels } from './replica-kernels.ts'

const CONFIGURATION = '/etc/dracut.conf.d/99-landfall.conf'
/** Red Hat 8 without dhclient fails on this leftover. */
const NETWORK_LEGACY = '/etc/dracut.conf.d/50-network-legacy.conf'
const BUILD_TIMEOUT_MS = 900_000
const PROGRAMS = ['/usr/bin/dracut', '/sbin/dracut', '/usr/sbin/dracut']

/** @param imageOf the path of a kernel's image */
export function rebuildWithDracut(imageOf: (version: string) => string): FixUp {
  return {
    id: 'C15', title: 'rebuild the initramfs of every kernel with the drivers it needs', required: true, reusable: {},
    fix: async (replica: AssembledReplica, signal) => {
      const { files, run } = replica
      const program = await textOfFirst(replica, PROGRAMS)
      if (program === undefined) throw fixUpFailed('dracut is not installed on the replica')
      const kernels = await replicaKernels(files)
      const messages: string[] = []
      const drivers = [...new Set(kernels.flatMap(k => k.modules))]
      const names = await namesOfAdapters(replica)
      await files.write(CONFIGURATION, `# Made by the migration: drivers of the virtual hardware.\nadd_drivers+=" ${drivers.join(' ')} "\n${installing(names)}${unlocking(replica)}`)
      if (await files.text(NETWORK_LEGACY) !== undefined && !await hasProgram(replica, 'dhclient')) {
        await files.rename(NETWORK_LEGACY, `${NETWORK_LEGACY}.landfall-removed`)
        messages.push(`${NETWORK_LEGACY} is not read any more: dhclient, which it needs, is not installed`)
      }
      // the first dracut knows no such option: it makes images for any hardware anyway
      const anyHardware = /--no-hostonly\b/.test(program) ? ['--no-hostonly'] : []
      for (const { version, modules, builtIn } of kernels) {
        const image = imageOf(version)
        const exists = await files.kind(image) === 'file'
        if (exists && await files.kind(`${image}.pre-landfall`) === undefined) await files.copy(image, `${image}.pre-landfall`)
        await run('dracut', ['--force', ...anyHardware, '--add-drivers', modules.join(' '), image, version], { timeoutMs: BUILD_TIMEOUT_MS }, signal)
        if (await files.kind(image) !== 'file') throw fixUpFailed(`dracut made no ${image}`)
        const paths = await listImage(replica, image, signal)
        const missing = await missingInImage(replica, { version, modules, builtIn }, paths)
        if (missing.length > 0) throw fixUpFailed(`the new initramfs of kernel ${version} lacks ${missing.join(', ')}`)
        messages.push(`initramfs of kernel ${version} rebuilt and looked into`)
        // no reason to stop: where the image has no driver of an adapter, it is named by the system; and rules rename what has a name (Red Hat 6)
        const left = names.filter(name => name.endsWith('.link') && !paths.some(path => path.endsWith(name.slice(1))))
        if (left.length > 0) messages.push(`the initramfs of kernel ${version} lacks ${left.join(', ')}: an adapter may get another name, look at the first boot`)
      }
      return messages
    },
  }
}

/** An image for any hardware has nothing of /etc, but the drivers of the adapters: it would name them its own way, and what udev has named once it names no other way. */
async function namesOfAdapters({ files }: AssembledReplica): Promise<readonly ReplicaPath[]> {
  const links = (await files.names(NETWORKD)).filter(name => /^10-landfall-.*[.]link$/.test(name)).map(name => `${NETWORKD}/${name}`)
  return [...links, ...await files.kind(PERSISTENT_RULES) === 'file' ? [PERSISTENT_RULES] : []]
}

function installing(paths: readonly ReplicaPath[]): string {
  return paths.length === 0 ? '' : `install_items+=" ${paths.join(' ')} "\n`
}

/** An image for any hardware looks at no crypttab, and opens nothing that no kernel parameter names. */
function unlocking({ plan, workload }: AssembledReplica): string {
  const references = new DeviceReferences(plan, workload)
  const uuids = [...openedForRoot(plan, 'early')].map(name => references.openedAs(name) ?? '')
  return uuids.length === 0 ? '' : `${installing([CRYPTTAB])}kernel_cmdline+=" ${uuids.map(uuid => `rd.luks.uuid=luks-${uuid}`).join(' ')} "\n`
}

async function textOfFirst({ files }: AssembledReplica, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const text = await files.text(path)
    if (text !== undefined) return text
  }
  return undefined
}
