/** The appliance as a guest on VMware's virtual hardware, with the real service in it. */
import { createServer } from 'node:net'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkOutAppliance } from '../image/guest-image.ts'
import type { RunDirectory } from '../run-directory.ts'
import { APPLIANCE_VM } from '../vcsim.ts'
import { PLUG_CONTROLLER } from './guest-disk-plug.ts'
import { KERNEL_ARGUMENTS, startGuest, type Guest } from './guest.ts'
import { installProduct } from './product.ts'

export interface ApplianceGuest extends AsyncDisposable {
  readonly guest: Guest
  readonly url: string
  readonly caFile: string
  readonly token: string
  /** the end of the service's log */
  log(): Promise<string>
}

/** A source's network: the appliance is in it, and nothing else. */
export interface SourceLine {
  /** socket at which the appliance's side of the line listens */
  socket: string
  /** "10.77.0" */
  network: string
}

/** Where this machine is for a guest with an adapter of the user's network. */
export const HOST_SEEN_FROM_APPLIANCE = '10.0.2.2'
export const APPLIANCE_HOST_NUMBER = 2

const API_PORT = 6325
const MEMORY_MIB = 1280
const BOOT_MS = 900_000
const SERVICE_MS = 600_000
const BOOT_TIMEOUT_MS = 1200_000
const HOLD_MS = 120_000
const SERIAL = '6000c29a0000000000000000000000aa'

export const lineTo = (run: RunDirectory, source: string, network: string): SourceLine => ({ socket: join(run.path, `${source}.line`), network })

/** Prepares the disk and starts the guest; `started` is there when its hardware runs, `ready` when the service answers. */
export async function startApplianceGuest(run: RunDirectory, built: string, lines: readonly SourceLine[], say: (line: string) => void, signal: AbortSignal): Promise<{ guest: Guest, ready: () => Promise<ApplianceGuest> }> {
  const { root, kernel, initramfs } = await checkOutAppliance(run.path, say, signal)
  await installProduct(run, built, 'appliance', { file: root, offsetBytes: 0, sizeBytes: 3 * 2 ** 30 }, async (tree) => { await configure(tree, lines) })
  const port = await freePort()
  const guest = await startGuest(run, {
    name: 'appliance', memoryMib: MEMORY_MIB,
    arguments: [
      '-kernel', kernel, '-initrd', initramfs, '-append', `root=LABEL=appliance ro ${KERNEL_ARGUMENTS} net.ifnames=0`,
      '-device', 'pvscsi,id=own,addr=0x7', '-device', `pvscsi,id=${PLUG_CONTROLLER},addr=0x8`,
      '-drive', `if=none,id=root,file=${root},format=raw,cache=unsafe`, '-device', `scsi-hd,drive=root,bus=own.0,serial=${SERIAL},vendor=VMware,product=Virtual disk,ver=2.0`,
      '-netdev', `user,id=n0,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:${String(port)}-:${String(API_PORT)}`, '-device', `vmxnet3,netdev=n0,mac=${macOf(0)},addr=0x3,romfile=`,
      ...lines.flatMap(({ socket }, i) => [
        '-netdev', `stream,id=n${String(i + 1)},server=on,addr.type=unix,addr.path=${socket}`, '-device', `vmxnet3,netdev=n${String(i + 1)},mac=${macOf(i + 1)},addr=0x${(i + 4).toString(16)},romfile=`,
      ]),
    ],
  }, signal)
  return {
    guest,
    ready: async () => {
      const { shell } = guest
      await shell.ready(BOOT_MS)
      const log = async (): Promise<string> => (await shell.attempt('journalctl -u landfall-appliance --no-pager -o cat | tail -c 4000')).output
      const { code } = await shell.attempt(`end=$(($(date +%s) + ${String(SERVICE_MS / 1000)})); while [ ! -e /var/lib/landfall/endpoint.json ]; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.3; done`, SERVICE_MS + 60_000)
      if (code !== 0) throw new Error(`the appliance did not start: ${await log()}`)
      const caFile = join(run.path, 'appliance-ca.crt')
      await writeFile(caFile, await shell.run('cat /var/lib/landfall/ca/ca.crt'))
      return {
        guest, url: `https://127.0.0.1:${String(port)}`, caFile, token: (await shell.run('cat /var/lib/landfall/admin.token')).trim(), log,
        [Symbol.asyncDispose]: async () => { await guest[Symbol.asyncDispose]() },
      }
    },
  }
}

async function configure(tree: string, lines: readonly SourceLine[]): Promise<void> {
  const addresses = lines.map(({ network }) => `${network}.${String(APPLIANCE_HOST_NUMBER)}`)
  const config = {
    applianceVm: APPLIANCE_VM, publicNames: [...addresses, '127.0.0.1'], apiAddress: '0.0.0.0', replicationAddress: '0.0.0.0', bootTimeoutMs: BOOT_TIMEOUT_MS, holdMs: HOLD_MS,
  }
  await write(join(tree, 'etc/landfall/appliance.json'), JSON.stringify(config))
  for (const [i, address] of ['10.0.2.15', ...addresses].entries()) {
    await write(join(tree, `etc/systemd/network/10-eth${String(i)}.network`), `[Match]\nMACAddress=${macOf(i)}\n\n[Network]\nAddress=${address}/24\n${i === 0 ? `Gateway=${HOST_SEEN_FROM_APPLIANCE}\n` : ''}IPv6AcceptRA=no\nLinkLocalAddressing=no\n`)
  }
  const wants = join(tree, 'etc/systemd/system/multi-user.target.wants')
  await mkdir(wants, { recursive: true })
  await symlink('/etc/systemd/system/landfall-appliance.service', join(wants, 'landfall-appliance.service'))
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}

const macOf = (index: number): string => `52:54:00:5a:aa:0${String(index)}`

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('there is no free port')
  return address.port
}
