/** C25, C27: what the replica should have for VMware. Its tools are made to start where they are there; nothing is installed, because a cutover needs no network. */
import type { AssembledReplica, FixUp } from './fix-up.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { linksOf, runLevels, UNIT_FOLDERS } from './service-places.ts'

/** Debian and Ubuntu, Red Hat and SUSE; the same without systemd. */
const UNITS = ['open-vm-tools.service', 'vmtoolsd.service'] as const
const INIT_SCRIPTS = ['open-vm-tools', 'vmtoolsd'] as const
const LOCAL_UNITS = '/etc/systemd/system'

export const ENABLE_TOOLS: FixUp = {
  id: 'C27', title: 'let the VMware tools start', required: false,
  fix: async ({ files }: AssembledReplica) => {
    if (await files.kind('/usr/bin/vmtoolsd') !== 'file') return ['open-vm-tools is not installed: install it after the cutover, so that vSphere sees the state of the server']
    for (const unit of UNITS) {
      for (const folder of UNIT_FOLDERS.filter(f => f !== LOCAL_UNITS)) {
        const text = await files.text(`${folder}/${unit}`)
        if (text !== undefined) return await enableUnit(files, unit, `${folder}/${unit}`, text)
      }
    }
    for (const script of INIT_SCRIPTS) if (await files.kind(`/etc/init.d/${script}`) === 'file') return await enableScript(files, script)
    return []
  },
}

/** On other hardware they were of no use: they may have been switched off, or masked. */
async function enableUnit(files: ReplicaFiles, unit: string, path: string, text: string): Promise<readonly string[]> {
  const messages: string[] = []
  const local = `${LOCAL_UNITS}/${unit}`
  // a mask is a link to /dev/null or an empty file; another unit of that name is the source's own
  const masked = await files.kind(local, 'stay') === 'link' ? await files.kind(local) !== 'file' : (await files.text(local)) === ''
  if (masked) {
    await files.remove(local)
    messages.push(`${unit} is masked no more`)
  }
  const target = /^\s*WantedBy\s*=\s*(\S+)/m.exec(text)?.[1] ?? 'multi-user.target'
  const wanted = `${LOCAL_UNITS}/${target}.wants/${unit}`
  if (/^[\w@.-]+$/.test(target) && await files.kind(wanted, 'stay') === undefined) {
    await files.link(wanted, path)
    messages.push(`${unit} starts with the server`)
  }
  return messages
}

async function enableScript(files: ReplicaFiles, script: string): Promise<readonly string[]> {
  const text = await files.text(`/etc/init.d/${script}`) ?? ''
  const order = /^#\s*chkconfig:\s*\S+\s+(\d\d)\b/m.exec(text)?.[1] ?? '90'
  let enabled = false
  for (const folder of await runLevels(files)) {
    if ((await linksOf(files, folder, script, 'S')).length > 0) continue
    for (const link of await linksOf(files, folder, script, 'K')) await files.remove(link)
    await files.link(`${folder}/S${order}${script}`, `/etc/init.d/${script}`)
    enabled = true
  }
  return enabled ? [`${script} starts with the server`] : []
}

export const REPORT_CLOCK: FixUp = {
  id: 'C25', title: 'look at the hardware clock', required: false,
  fix: async ({ files }: AssembledReplica) =>
    (await files.text('/etc/adjtime'))?.split('\n')[2]?.trim() === 'LOCAL' ? ['the hardware clock of the source runs in local time; the virtual one runs in UTC until it is set by the first time synchronisation'] : [],
}
