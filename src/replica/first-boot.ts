/** C28: a unit that proves the first boot and runs the user's script. */
import { firstBootProgram, firstBootUnit } from './first-boot-script.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'

const DIRECTORY = '/var/lib/landfall-first-boot'
const UNIT = 'landfall-first-boot.service'
const UNITS = '/etc/systemd/system'

export const INSTALL_FIRST_BOOT: FixUp = {
  id: 'C28', title: 'install the unit that proves the first boot', required: true,
  fix: async ({ files, plan, options }: AssembledReplica) => {
    if (await files.kind('/lib/systemd/systemd') !== 'file') throw fixUpFailed('the replica has no systemd; its first boot could not be proved')
    const script = options.postFailover
    await files.remove(DIRECTORY)
    await files.makeDirectory(DIRECTORY, 0o700)
    await files.write(`${DIRECTORY}/run`, Buffer.from(firstBootProgram({ directory: DIRECTORY, unit: UNIT, waitForAddress: plan.adapters.some(a => a.addresses.length > 0), script }), 'utf8').toString('latin1'), 0o700)
    if (script !== undefined) await files.write(`${DIRECTORY}/script`, Buffer.from(script.content, 'utf8').toString('latin1'), 0o700)
    await files.write(`${UNITS}/${UNIT}`, firstBootUnit({ directory: DIRECTORY, unit: UNIT }))
    await files.link(`${UNITS}/multi-user.target.wants/${UNIT}`, `${UNITS}/${UNIT}`)
    return [`${UNIT} reports the first boot${script === undefined ? '' : ' and runs the post-failover script'}`]
  },
}
