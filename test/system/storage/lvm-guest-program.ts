/**
 * What lvm-guest.test.ts runs in its guest: the replicas of two clones, with the product's own code. `lvm-guest-program.js DO:CLONE ...` does one thing
 * after the other, each as an appliance that has just been started, and tells what it sees in lines that begin with "@ ".
 */
import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, symlinkSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { mapNameOf } from '../../../src/command/lvm.ts'
import type { Runner } from '../../../src/command/runner.ts'
import type { VirtualDisk } from '../../../src/domain/target.ts'
import { AppError, isAppError } from '../../../src/errors/app-error.ts'
import { MemoryHypervisor } from '../../../src/hypervisor/memory-hypervisor.ts'
import { buildReplica } from '../../../src/replica/build.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { logicalMapUuid } from '../../../src/storage/device-maps.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { placedGroups, type MountedVolume } from '../../../src/storage/volume-stack.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { GROUP_OBLIGATIONS, releaseGroup } from '../../contract/volume-group.contract.ts'
import { options, places } from '../../unit/replica/workloads.ts'
import { ENCRYPTED, PASSPHRASE, SOURCE } from './lvm-source.ts'

const DEVICES = [['/dev/vda', '/dev/vdb'], ['/dev/vdc', '/dev/vdd'], ['/dev/vdg']] as const
const LINKS = '/tmp/by-serial'
const signal = AbortSignal.timeout(700_000)

/** Disks that hang on the appliance already. */
class Attached extends MemoryHypervisor {
  override async attachDisk(disk: VirtualDisk): Promise<VirtualDisk> {
    return disk
  }
}

/** Ends like a kill before or after the command of this number that writes something of LVM. */
class Breaking implements Runner {
  readonly #runner = new ExecaRunner()
  #left: number
  readonly #after: boolean

  readonly #tools: readonly string[]

  constructor(left = Infinity, after = false, tools: readonly string[] = ['pvcreate', 'vgcfgrestore', 'vgchange']) {
    this.#left = left
    this.#after = after
    this.#tools = tools
  }

  async run(...[tool, args, o]: Parameters<Runner['run']>): ReturnType<Runner['run']> {
    const breaks = this.#tools.includes(tool) && this.#left-- <= 0
    const result = breaks && !this.#after ? undefined : await this.#runner.run(tool, args, o)
    if (breaks || result === undefined) throw new AppError('INTERNAL', 'killed')
    return result
  }
}

function tell(text: string): void {
  process.stdout.write(`@ ${text}\n`)
}

function cloneOf(number: string): Clone {
  const encrypted = Number(number) > 2
  const { workload, layout } = readSource('clone', encrypted ? ENCRYPTED : SOURCE)
  const jobId = `0c6b1a2e-0000-4000-8000-00000000000${number}`
  if (encrypted) workload.boot.commandLine += ' fips=1' // its key derivation is quick, also in an emulated machine
  const plan = planReplica({ jobId, workload, options: options({ layout }), places: places() })
  mkdirSync(LINKS, { recursive: true })
  const disks = plan.disks.map(({ path, sizeBytes }, i): VirtualDisk => {
    const uuid = `${number}${String(i)}`.padEnd(32, '0')
    try { symlinkSync(DEVICES[Number(number) - 1]?.[i] ?? '', join(LINKS, uuid)) } catch { /* of an earlier call */ }
    return { path, sizeBytes, uuid }
  })
  return { number, jobId, plan, disks, devices: DEVICES[Number(number) - 1] ?? [] }
}

interface Clone { number: string, jobId: string, plan: ReturnType<typeof planReplica>, disks: readonly VirtualDisk[], devices: readonly string[] }

function stackOf(runner: Runner = new ExecaRunner()): LinuxVolumeStack {
  return new LinuxVolumeStack({ runner, stateDirectory: '/state', devicesBySerial: LINKS })
}

async function build(stack: LinuxVolumeStack, { jobId, plan, disks }: Clone): Promise<readonly MountedVolume[]> {
  return await buildReplica({ jobId, plan, built: { disks: [...disks] }, hypervisor: new Attached(), volumes: stack, passphrase: async () => Promise.resolve(PASSPHRASE) }, async () => undefined, signal)
}

/** Tries until nothing breaks any more; how often it took. */
async function unbroken(work: (runner: Runner) => Promise<unknown>): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      await work(new Breaking(Math.floor(tries / 2), tries % 2 === 1))
      return tries
    } catch (error) {
      if (!isAppError(error, 'INTERNAL')) throw error
    }
  }
}

function write({ number }: Clone, mounted: readonly MountedVolume[]): void {
  for (const m of mounted) writeFileSync(join(m.mountPoint, 'own'), `clone ${number} ${m.volume.volume.name}`, { flush: true })
}

const STEPS: Readonly<Record<string, (clone: Clone) => Promise<void>>> = {
  /** what device mapper shows */
  maps: async () => {
    tell(`maps: ${readdirSync('/sys/block').filter(name => name.startsWith('dm-')).map(name => readFileSync(`/sys/block/${name}/dm/name`, 'utf8').trim().replace(/0c6b1a2e.*0000000/, 'job')).sort().join(' ')}`)
  },
  make: async clone => {
    const mounted = await build(stackOf(), clone)
    write(clone, mounted)
    const stack = stackOf()
    tell(`${clone.number} the same again: ${String(JSON.stringify(await build(stack, clone)) === JSON.stringify(mounted))}`)
    const root = await stack.assemble(clone.jobId, mounted, clone.devices, signal)
    const inDev = (path: string): string => join(root, 'dev', path)
    tell(`${clone.number} sees ${['mapper', 'my-vg'].flatMap(folder => readdirSync(inDev(folder)).sort().map(name => `${folder}/${name}`)).join(' ')}`)
    const [at = ''] = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(line => line.split(' ')[4] === root).map(line => line.split(' - ')[1]?.split(' ')[1] ?? '')
    tell(`${clone.number} root is shown as ${at.replace(/\d+$/, 'N')}, which is ${readlinkSync(join(root, at))}`)
  },
  'make-broken': async clone => {
    tell(`${clone.number} made after ${String(await unbroken(async runner => { write(clone, await build(stackOf(runner), clone)) }))} breaks`)
  },
  /** its disks went away and came back while it was shown: the maps lead nowhere */
  stale: async clone => {
    const stack = stackOf()
    await build(stack, clone)
    await stack.release(clone.jobId, clone.devices, signal, { check: false })
    const [group] = clone.plan.volumeGroups ?? []
    const [logical] = group?.logicalVolumes ?? []
    if (group === undefined || logical === undefined) throw new Error('nothing is planned')
    execFileSync('dmsetup', ['create', mapNameOf(group.temporaryName, logical.name), '--uuid', logicalMapUuid(group.temporaryUuid, logical.temporaryUuid), '--table', `0 ${String(logical.extents * 2048)} linear /dev/vde 0`])
  },
  'hand-over': async clone => {
    const { jobId, plan, devices } = clone
    const stack = stackOf()
    const mounted = await build(stack, clone)
    tell(`${clone.number} holds ${mounted.map(m => readFileSync(join(m.mountPoint, 'own'), 'utf8')).join(', ')}`)
    await stack.release(jobId, devices, signal, { handOver: placedGroups(plan, devices) })
  },
  /** with containers: made through kills before and after cryptsetup makes and opens the first one, seen as the replica will see them, and found again */
  encrypt: async clone => {
    for (const [left, after] of [[0, false], [0, true], [1, true]] as const) await build(stackOf(new Breaking(left, after, ['cryptsetup'])), clone).catch(() => undefined)
    const stack = stackOf()
    const mounted = await build(stack, clone)
    write(clone, mounted)
    tell(`${clone.number} the same again: ${String(JSON.stringify(await build(stackOf(), clone)) === JSON.stringify(mounted))}`)
    const root = await stack.assemble(clone.jobId, mounted, clone.devices, signal)
    tell(`${clone.number} sees ${readdirSync(join(root, 'dev/mapper')).sort().join(' ')}`)
    await stack.disassemble(clone.jobId, signal)
  },
  /** another passphrase opens nothing, and nothing is made anew */
  'wrong-passphrase': async clone => {
    const stack = stackOf()
    await stack.release(clone.jobId, clone.devices, signal, { check: false })
    const wrong = buildReplica({ jobId: clone.jobId, plan: clone.plan, built: { disks: [...clone.disks] }, hypervisor: new Attached(), volumes: stack, passphrase: async () => Promise.resolve('another passphrase') }, async () => undefined, signal)
    tell(`${clone.number} refused: ${await wrong.then(() => 'no', (error: unknown) => (isAppError(error) ? error.code : String(error)))}`)
  },
  contract: async () => {
    const pair = ['/dev/vde', '/dev/vdf'] as const
    const put = (device: string, bytes: Buffer, at: number): void => {
      const fd = openSync(device, 'r+')
      writeSync(fd, bytes, 0, bytes.length, at)
      fsyncSync(fd)
      closeSync(fd)
    }
    const scribble = (device: string): void => { put(device, Buffer.alloc(4096, 'x'), 400 << 10) }
    for (const { name, check } of GROUP_OBLIGATIONS.filter(o => o.shows)) {
      for (const device of pair) put(device, Buffer.alloc(1 << 20), 0)
      const open = { stack: stackOf(), devices: pair, scribble }
      try {
        await check(open)
        tell(`ok: ${name}`)
      } catch (error) {
        tell(`not ok: ${name}: ${error instanceof Error ? error.message : String(error)}`)
      }
      await releaseGroup(open)
    }
  },
}

for (const word of process.argv.slice(2)) {
  const [what = '', number = ''] = word.split(':')
  const startedAtMs = performance.now()
  try {
    await STEPS[what]?.(cloneOf(number))
  } catch (error) {
    tell(`${word} failed: ${error instanceof Error ? error.stack ?? '' : String(error)}`)
  }
  process.stderr.write(`${word}: ${String(Math.round(performance.now() - startedAtMs))} ms\n`)
}
