/** A source server as a guest: a live Debian on virtio, with a database under load and the real agent. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EnrolmentOffer } from '../../../src/domain/server.ts'
import { checkOutGuestSource, type GuestSourceLayout, type ImageVolume } from '../image/guest-image.ts'
import type { RunDirectory } from '../run-directory.ts'
import { APPLIANCE_HOST_NUMBER, type SourceLine } from './appliance-guest.ts'
import { firmwareArguments } from './firmware.ts'
import { KERNEL_ARGUMENTS, startGuest, type Guest } from './guest.ts'
import { installProduct } from './product.ts'

export interface SourceGuest extends AsyncDisposable {
  readonly guest: Guest
  readonly o: GuestSourceLayout
  /** of its image files */
  readonly directory: string
  readonly volumes: readonly ImageVolume[]
  /** Waits until it has booted. */
  ready(): Promise<void>
  /** Enrols the agent as a person would, and starts its service. */
  enrol(offer: EnrolmentOffer): Promise<void>
  startLoad(): Promise<void>
  /** numbers that the database had acknowledged when the client said so */
  acknowledged(): Promise<readonly number[]>
  /** what its units were when all had settled */
  failedUnits(): Promise<readonly string[]>
  agentLog(): Promise<string>
}

const MEMORY_MIB = 1024
const BOOT_MS = 900_000
const ENROL_MS = 600_000
const LOAD_MS = 600_000
/** adapters of the bond */
export const ADAPTERS = ['ens3', 'ens4'] as const

export async function startSourceGuest(run: RunDirectory, built: string, o: GuestSourceLayout, line: SourceLine, say: (line: string) => void, signal: AbortSignal): Promise<SourceGuest> {
  const directory = join(run.path, o.hostName)
  await mkdir(directory)
  const { disks, volumes, kernel } = await checkOutGuestSource(directory, o, say, signal)
  const root = volumes.find(v => v.mountPoint === '/')
  if (root === undefined) throw new Error('the source has no root')
  await installProduct(run, built, 'agent', { ...root, file: join(directory, root.image) })
  const record = join(run.path, `${o.hostName}.acknowledged`)
  const guest = await startGuest(run, {
    name: o.hostName, memoryMib: MEMORY_MIB, cpus: 2,
    arguments: [
      ...await firmwareArguments(run, o.hostName, o.firmware), ...kernel === undefined ? [] : ['-kernel', kernel.kernel, '-initrd', kernel.initramfs, '-append', commandLine(o)],
      '-serial', `file:${record}`, '-device', 'virtio-scsi-pci,id=scsi0,addr=0x7',
      ...disks.flatMap((file, i) => [
        '-drive', `if=none,id=d${String(i)},file=${file},format=raw,cache=unsafe,discard=unmap`,
        '-device', `scsi-hd,drive=d${String(i)},bus=scsi0.0,scsi-id=${String(i)},serial=lab-${o.prefix}-${String(i)}${i === 0 ? ',bootindex=1' : ''}`,
      ]),
      // both adapters of the bond are on one line
      '-netdev', `stream,id=line,server=off,addr.type=unix,addr.path=${line.socket}`, '-netdev', 'hubport,id=h0,hubid=0,netdev=line',
      ...ADAPTERS.flatMap((_, i) => ['-netdev', `hubport,id=h${String(i + 1)},hubid=0`, '-device', `virtio-net-pci,netdev=h${String(i + 1)},mac=${macOf(o, i)},addr=0x${String(i + 3)},romfile=`]),
    ],
  }, signal)
  const { shell } = guest
  return {
    guest, o, directory, volumes,
    ready: async () => { await shell.ready(BOOT_MS) },
    enrol: async ({ command }) => {
      // the command as it is shown; it names the appliance by its address on the first line
      const own = command.replace(/--appliance [^:]+:/, `--appliance ${line.network}.${String(APPLIANCE_HOST_NUMBER)}:`)
      say(`on ${o.hostName}: ${own.replace(/LANDFALL_TOKEN=\S+/, 'LANDFALL_TOKEN=…')}`)
      await shell.run(`${own} && systemctl enable --now landfall-agent.service`, ENROL_MS)
      await shell.run('until journalctl -u landfall-agent --no-pager -o cat | grep -q "connected to the appliance"; do sleep 0.3; done', ENROL_MS)
    },
    startLoad: async () => {
      await shell.run('until su postgres -s /bin/sh -c "psql -qAtc \'SELECT 1\' postgres"; do sleep 0.5; done; systemd-run --quiet --unit=lab-load --collect /usr/local/sbin/lab-load', LOAD_MS)
    },
    acknowledged: async () => (await readFile(record, 'utf8').catch(() => '')).split('\n').slice(0, -1).map(text => text.trim()).filter(text => /^\d+$/.test(text)).map(Number),
    failedUnits: async () => (await shell.run('systemctl is-system-running --wait >/dev/null; systemctl list-units --state=failed --plain --no-legend | cut -d" " -f1', BOOT_MS)).split('\n').filter(unit => unit !== ''),
    agentLog: async () => guest.process.isRunning() ? (await shell.attempt('journalctl -u landfall-agent --no-pager -o cat | tail -c 4000')).output : '(the source is off)',
    [Symbol.asyncDispose]: async () => { await guest[Symbol.asyncDispose]() },
  }
}

/** As the source's own menu has it. */
const commandLine = ({ layout, prefix }: GuestSourceLayout): string => `root=${layout === 'lvm' ? '/dev/mapper/vg0-root' : `UUID=${prefix}-1ab0-4000-8000-000000000001`} ro ${KERNEL_ARGUMENTS}`

export const gatewayOf = ({ address }: GuestSourceLayout): string => address.replace(/\d+$/, '1')

export const macOf = ({ prefix }: GuestSourceLayout, index: number): string => `52:54:00:${prefix.slice(4, 6)}:${prefix.slice(6, 8)}:1${String(index)}`
