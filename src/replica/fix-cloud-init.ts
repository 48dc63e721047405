/**
 * C21: a new platform looks like a new instance to cloud-init: it would make new SSH host keys, users and network settings. It is switched off rather than
 * told of another data source, because that one would be a new instance, too.
 */
import type { AssembledReplica, FixUp } from './fix-up.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { hasSystemd, removeStartLinks } from './service-places.ts'

const FOLDER = '/etc/cloud'
const SWITCH = `${FOLDER}/cloud-init.disabled`
/** For whoever switches it on again. */
const SETTINGS = `${FOLDER}/cloud.cfg.d/99-landfall.cfg`
const UPSTART = '/etc/init'
/** Of releases with run levels (Red Hat 6, SUSE 11). */
const SCRIPTS = ['cloud-init-local', 'cloud-init', 'cloud-config', 'cloud-final'] as const

export const STOP_CLOUD_INIT: FixUp = {
  id: 'C21', title: 'keep cloud-init from setting the server up anew', required: true,
  fix: async ({ files }: AssembledReplica) => {
    if (await files.kind(FOLDER) !== 'directory') return []
    const stopped = await hasSystemd(files) ? [] : await stopWithoutSystemd(files)
    if (await files.kind(SWITCH) !== undefined) return stopped
    await files.write(SWITCH, 'Disabled by the migration: this server has its identity already.\n')
    if (await files.kind(`${FOLDER}/cloud.cfg.d`) === 'directory') await files.write(SETTINGS, 'network: {config: disabled}\n')
    return ['cloud-init is disabled: the server keeps its host keys, users and network settings', ...stopped]
  },
}

/** Only the generator of systemd looks at the switch. */
async function stopWithoutSystemd(files: ReplicaFiles): Promise<readonly string[]> {
  const messages: string[] = []
  for (const name of (await files.names(UPSTART)).filter(n => /^cloud-(?:init|config|final).*[.]conf$/.test(n))) {
    const override = `${UPSTART}/${name.replace(/[.]conf$/, '.override')}`
    if (await files.kind(override, 'stay') !== undefined) continue
    await files.write(override, 'manual\n')
    messages.push(`${UPSTART}/${name} is not started by itself`)
  }
  for (const script of SCRIPTS) if (await removeStartLinks(files, script)) messages.push(`${script} is started in no run level`)
  return messages
}
