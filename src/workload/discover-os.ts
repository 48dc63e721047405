/** Which operating system the source has and who it is. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Workload } from '../domain/workload.ts'
import { parseAssignments } from './assignments.ts'
import { isSystemError, type Report } from './findings.ts'
import { readRelease } from './release-files.ts'
import type { SourceRoot } from './source-root.ts'

/** e_machine of the ELF header, as uname names it */
const MACHINES: Readonly<Record<number, string>> = { 3: 'i686', 20: 'ppc', 21: 'ppc64', 22: 's390x', 40: 'armv7l', 62: 'x86_64', 183: 'aarch64', 243: 'riscv64' }

/** Reads it from the files of the root; `proc` (of a live source) fills in a host name that no file has. */
export async function discoverOs(root: SourceRoot, proc: string | undefined, report: Report): Promise<Pick<Workload, 'hostName' | 'machineId' | 'os'>> {
  const hostName = await findHostName(root, proc)
  if (hostName === '') {
    report({ code: 'HOST_NAME_UNKNOWN', severity: 'warning', subject: '/etc/hostname', message: 'the source has no host name of its own', advice: 'Give the source a host name.' })
  }
  const machineId = (await root.firstText(['/etc/machine-id', '/var/lib/dbus/machine-id']) ?? '').trim()
  const release = await readRelease(root)
  if (release.id === '') {
    report({
      code: 'OS_UNKNOWN', severity: 'error', subject: '/etc/os-release', message: 'the distribution is not known: there is no os-release file, nor one of those that older releases have',
      advice: 'Check that /etc/os-release, /etc/redhat-release, /etc/SuSE-release or /etc/debian_version of the source is as its distribution made it.',
    })
  }
  return {
    hostName, machineId: /^[0-9a-f]{32}$/.test(machineId) ? machineId : '',
    os: { ...release, architecture: await findArchitecture(root) },
  }
}

async function findHostName(root: SourceRoot, proc: string | undefined): Promise<string> {
  for (const path of ['/etc/hostname', '/etc/HOSTNAME']) {
    const name = (await root.text(path) ?? '').split('\n').map(l => l.trim()).find(l => l !== '' && !l.startsWith('#'))
    if (name !== undefined) return name
  }
  const named = parseAssignments(await root.text('/etc/sysconfig/network') ?? '').get('HOSTNAME')
  if (named !== undefined && named !== '') return named
  if (proc === undefined) return ''
  try {
    return (await readFile(join(proc, 'sys/kernel/hostname'), 'utf8')).trim()
  } catch (error) {
    if (!isSystemError(error)) throw error
    return ''
  }
}

/** From the header of a program that every system has. */
async function findArchitecture(root: SourceRoot): Promise<string> {
  for (const path of ['/bin/sh', '/sbin/init', '/usr/bin/env']) {
    const header = await root.start(path, 20)
    if (header?.length === 20 && header.readUInt32BE(0) === 0x7f454c46) {
      const machine = header[5] === 2 ? header.readUInt16BE(18) : header.readUInt16LE(18)
      return MACHINES[machine] ?? `elf-${String(machine)}`
    }
  }
  return ''
}
