/** C06, C07: our own agent leaves the copy; services of the old hardware or hypervisor do not start on the new one. */
import { AGENT_PLACES } from '../domain/agent-places.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { removeStartLinks, UNIT_FOLDERS } from './service-places.ts'

/** Beside its own places, which an agent leaves out: it was started by one of these. */
const AGENT_PATHS = [
  ...AGENT_PLACES, '/etc/systemd/system/landfall-agent.service', '/etc/systemd/system/landfall-agent.service.d',
  '/etc/systemd/system/multi-user.target.wants/landfall-agent.service', '/lib/systemd/system/landfall-agent.service', '/etc/default/landfall-agent',
]

/** Units of guest tools and hardware that is not there any more. open-vm-tools is not among them. */
const FOREIGN_UNITS: readonly (readonly [string, string])[] = [
  ['qemu-guest-agent.service', 'C06'], ['xe-linux-distribution.service', 'C06'], ['xe-daemon.service', 'C06'], ['vboxadd.service', 'C06'], ['vboxadd-service.service', 'C06'],
  ['virtualbox-guest-utils.service', 'C06'], ['hv-kvp-daemon.service', 'C06'], ['hv-vss-daemon.service', 'C06'], ['hv-fcopy-daemon.service', 'C06'], ['prltoolsd.service', 'C06'],
  ['walinuxagent.service', 'C06'], ['waagent.service', 'C06'], ['google-guest-agent.service', 'C06'], ['google-startup-scripts.service', 'C06'], ['amazon-ssm-agent.service', 'C06'], ['ec2-net-utils.service', 'C06'],
  ['mcelog.service', 'C07'], ['smartmontools.service', 'C07'], ['smartd.service', 'C07'], ['hpasmlited.service', 'C07'], ['hp-ams.service', 'C07'], ['amsd.service', 'C07'], ['dsm_sa_datamgrd.service', 'C07'],
  ['dataeng.service', 'C07'], ['ipmievd.service', 'C07'], ['openipmi.service', 'C07'], ['lm-sensors.service', 'C07'], ['lm_sensors.service', 'C07'], ['watchdog.service', 'C07'], ['multipathd.service', 'C07'],
]
/** The same for systems without systemd: kudzu would ask at the console about every new device. */
const FOREIGN_INIT_SCRIPTS = ['kudzu', 'qemu-ga', 'xe-linux-distribution', 'vboxadd', 'vboxadd-service', 'waagent', 'mcelogd', 'mcelog', 'smartd', 'hpasmd', 'hp-health', 'hp-snmp-agents', 'dataeng', 'ipmi', 'lm_sensors', 'multipathd', 'watchdog'] as const
const MASKS = '/etc/systemd/system'

export const REMOVE_AGENT: FixUp = {
  id: 'C06', title: 'remove our agent from the copy', required: true,
  fix: async ({ files }: AssembledReplica) => {
    const removed: string[] = []
    for (const path of AGENT_PATHS) if (await files.remove(path)) removed.push(`${path} removed`)
    return removed
  },
}

export const STOP_FOREIGN_SERVICES: FixUp = {
  id: 'C07', title: 'keep services of the old hardware from starting', required: false,
  fix: async ({ files }: AssembledReplica) => {
    const masked: string[] = []
    const units = new Set((await Promise.all(UNIT_FOLDERS.map(async folder => await files.names(folder)))).flat())
    for (const [unit] of FOREIGN_UNITS) {
      if (!units.has(unit) || !await isInstalled(files, unit) || await files.kind(`${MASKS}/${unit}`, 'stay') === 'link') continue
      if (await files.kind(`${MASKS}/${unit}`, 'stay') === 'file') {
        await files.rename(`${MASKS}/${unit}`, `${MASKS}/${unit}.pre-landfall`) // a mask needs the name
      }
      await files.link(`${MASKS}/${unit}`, '/dev/null')
      masked.push(`${unit} is masked`)
    }
    const scripts = new Set(await files.names('/etc/init.d'))
    for (const script of FOREIGN_INIT_SCRIPTS) {
      if (!scripts.has(script) || await files.kind(`/etc/init.d/${script}`) !== 'file') continue
      if (await removeStartLinks(files, script)) masked.push(`${script} is started in no run level`)
    }
    return masked
  },
}

async function isInstalled(files: ReplicaFiles, unit: string): Promise<boolean> {
  for (const folder of UNIT_FOLDERS) if (await files.kind(`${folder}/${unit}`) === 'file') return true
  return false
}
