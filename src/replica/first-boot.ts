/** C28: a unit, or an init script where there is no systemd, that proves the first boot and runs the user's script. */
import { readFile } from 'node:fs/promises'
import { HOST_TELLER } from '../posix/host-teller.ts'
import { firstBootInitScript, firstBootProgram, firstBootUnit } from './first-boot-script.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { hasSystemd } from './service-places.ts'

const DIRECTORY = '/var/lib/landfall-first-boot'
const UNIT = 'landfall-first-boot.service'
const UNITS = '/etc/systemd/system'
const INIT_SCRIPT = '/etc/init.d/landfall-first-boot'
/** Where the links of run levels 2 to 5 are: SUSE, Red Hat, others. */
const RUN_LEVELS = [['/etc/init.d/rc', '.d'], ['/etc/rc.d/rc', '.d'], ['/etc/rc', '.d']] as const
/** It comes last. */
const LINK = 'S99landfall-first-boot'

export const INSTALL_FIRST_BOOT: FixUp = {
  id: 'C28', title: 'install what proves the first boot', required: true,
  fix: async ({ files, plan, options }: AssembledReplica) => {
    const systemd = await hasSystemd(files)
    const links = systemd ? [] : await runLevelLinks(files)
    if (!systemd && links.length === 0) throw fixUpFailed('the replica has neither systemd nor run levels (/etc/rc3.d); its first boot could not be proved')
    const script = options.postFailover
    await files.remove(DIRECTORY)
    await files.makeDirectory(DIRECTORY, 0o700)
    const program = firstBootProgram({ directory: DIRECTORY, unit: UNIT, waitForAddress: plan.adapters.some(a => a.addresses.length > 0), script, remove: systemd ? [] : [INIT_SCRIPT, ...links] })
    await files.write(`${DIRECTORY}/run`, Buffer.from(program, 'utf8').toString('latin1'), 0o700)
    await files.write(`${DIRECTORY}/tell`, await readFile(HOST_TELLER, 'latin1'), 0o700)
    if (script !== undefined) await files.write(`${DIRECTORY}/script`, Buffer.from(script.content, 'utf8').toString('latin1'), 0o700)
    if (systemd) {
      await files.write(`${UNITS}/${UNIT}`, firstBootUnit({ directory: DIRECTORY, unit: UNIT }))
      await files.link(`${UNITS}/multi-user.target.wants/${UNIT}`, `${UNITS}/${UNIT}`)
    } else {
      await files.write(INIT_SCRIPT, firstBootInitScript({ directory: DIRECTORY }), 0o755)
      for (const link of links) await files.link(link, INIT_SCRIPT)
    }
    return [`${systemd ? UNIT : INIT_SCRIPT} reports the first boot${script === undefined ? '' : ' and runs the post-failover script'}`]
  },
}

async function runLevelLinks(files: ReplicaFiles): Promise<readonly string[]> {
  for (const [before, after] of RUN_LEVELS) {
    const folders: string[] = []
    for (const level of [2, 3, 4, 5]) if (await files.kind(`${before}${String(level)}${after}`, 'stay') === 'directory') folders.push(`${before}${String(level)}${after}`)
    if (folders.length > 0) return folders.map(folder => `${folder}/${LINK}`)
  }
  return []
}
