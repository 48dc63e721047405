import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import t from 'tap'
import { freeze } from '../../../src/replication/freezer.ts'
import { randomNumbers } from '../../race/random-numbers.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { SEED } from '../../seed.ts'

const signal = AbortSignal.timeout(120_000)
const ROUNDS = Number(process.env['ROUNDS'] ?? 1)
const HOLDER = fileURLToPath(new URL('frozen-process.ts', import.meta.url))

const HANGING_WRITER = fileURLToPath(new URL('hanging-writer.py', import.meta.url))

/** A file system whose image lies below `directory`. */
function mountWithin(directory: string): Disposable & { path: string } {
  const [image, path] = [join(directory, 'image'), join(directory, 'mount')]
  mkdirSync(path)
  writeFileSync(image, '')
  truncateSync(image, 100 * 1024 * 1024)
  execFileSync('mkfs.ext4', ['-q', '-F', image])
  execFileSync('mount', ['-o', 'loop', image, path])
  return { path, [Symbol.dispose]: () => { execFileSync('umount', [path]) } }
}

async function until(reached: () => boolean, ms: number): Promise<void> {
  for (const deadline = Date.now() + ms; !reached();) {
    if (Date.now() > deadline) throw new Error('it did not come to that')
    await new Promise(resolve => { setTimeout(resolve, 10) })
  }
}

function readChildren(pid: number): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).flatMap(name => {
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'latin1').split(') ')
      return Number(fields[1]?.split(' ')[1]) === pid && !(fields[1] ?? '').startsWith('Z') ? [Number(name)] : []
    } catch {
      return [] // ended meanwhile
    }
  })
}

/** The two processes of the watchdog that this process has started. */
async function watchdogOf(pid: number): Promise<{ watch: number, guard: number }> {
  let found: number[] = []
  await until(() => {
    const [watch] = readChildren(pid)
    found = watch === undefined ? [] : [watch, ...readChildren(watch)]
    return found.length === 2
  }, 20_000)
  return { watch: found[0] ?? 0, guard: found[1] ?? 0 }
}

/** Whether a write below path ends within the time; one on a frozen file system waits for the thaw. */
async function writesWithin(path: string, ms: number): Promise<{ ended: boolean, write: Promise<void> }> {
  const write = writeFile(join(path, 'written'), 'x')
  const ended = await Promise.race([write.then(() => true), new Promise<boolean>(resolve => { setTimeout(resolve, ms, false) })])
  return { ended, write }
}

void t.test('a frozen file system takes writes again after the thaw, and thawing twice is fine', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  const frozen = await freeze([volume.path], { holdMs: 20_000 }, signal)
  try {
    t.ok(await frozen.hold())
    const { ended, write } = await writesWithin(volume.path, 300)
    t.notOk(ended, 'the write waits')
    await frozen.thaw()
    await write
    t.notOk(await frozen.hold(), 'it does not claim to be frozen any more')
  } finally {
    await frozen.thaw()
  }
})

void t.test('the watchdog thaws when nobody holds for the hold time', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('xfs', 400)
  await using frozen = await freeze([volume.path], { holdMs: 500 }, signal)
  const { ended } = await writesWithin(volume.path, 10_000)
  t.ok(ended)
  t.notOk(await frozen.hold(), 'and the holder is told')
})

void t.test('a thaw by another program is seen by the next hold, and all is thawed then', { skip: MOUNT_SKIP }, async t => {
  using first = mountLoop('ext4', 100)
  using second = mountLoop('xfs', 400)
  const frozen = await freeze([first.path, second.path], { holdMs: 60_000 }, signal)
  try {
    t.ok(await frozen.hold(), 'to ask changes nothing')
    t.notOk((await writesWithin(first.path, 100)).ended)
    execFileSync('fsfreeze', ['--unfreeze', second.path])
    writeFileSync(join(second.path, 'behind its back'), '')
    t.same(await Promise.all([frozen.hold(), frozen.hold()]), [false, false])
    t.match(frozen.thawed.reason, { code: 'SOURCE_THAWED', message: /another program/ })
    for (const { path } of [first, second]) t.ok((await writesWithin(path, 10_000)).ended, path)
  } finally {
    await frozen.thaw()
  }
})

void t.test('the watchdog thaws when the process that froze is killed', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  const holder = spawn(process.execPath, [HOLDER, volume.path, '60000'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let said = ''
    holder.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
    await until(() => said.includes('frozen'), 20_000)
    const before = await writesWithin(volume.path, 300)
    t.notOk(before.ended, 'it is frozen')
    holder.kill('SIGKILL')
    const began = Date.now()
    await before.write
    t.ok(Date.now() - began < 10_000, 'long before the hold time')
  } finally {
    holder.kill('SIGKILL')
  }
})

void t.test('a file system that somebody else froze is refused, and the others are thawed again', { skip: MOUNT_SKIP }, async t => {
  using first = mountLoop('ext4', 100)
  const inner = join(first.path, 'deeper')
  mkdirSync(inner)
  using second = mountLoop('ext4', 100)
  await using other = await freeze([second.path], { holdMs: 20_000 }, signal)
  await t.rejects(freeze([first.path, second.path], { holdMs: 20_000 }, signal), { code: 'FREEZE_BUSY', message: /frozen already/ })
  t.ok((await writesWithin(first.path, 10_000)).ended, 'the first one is not left frozen')
  t.ok(await other.hold(), 'and the other program keeps its freeze')
})

void t.test('a file system that does not answer is given up in time, the others take writes, and it thaws as soon as it has frozen', { skip: MOUNT_SKIP }, async t => {
  // its image lies on a file system that is frozen: what is written back waits
  using outer = mountLoop('ext4', 400)
  using image = mountWithin(outer.path)
  using other = mountLoop('ext4', 100)
  const inner = join(image.path, 'deeper')
  mkdirSync(inner)
  execFileSync('mount', ['--bind', other.path, inner])
  try {
    await writeFile(join(image.path, 'dirty'), Buffer.alloc(1 << 20, 7))
    execFileSync('fsfreeze', ['--freeze', outer.path])
    try {
      const began = Date.now()
      await t.rejects(freeze([image.path, inner], { holdMs: 20_000, freezeMs: 200 }, signal), { code: 'FREEZE_TIMEOUT', message: /did not answer/ })
      t.ok(Date.now() - began < 10_000)
      t.ok((await writesWithin(other.path, 5000)).ended, 'the one that was to be frozen first takes writes')
    } finally {
      execFileSync('fsfreeze', ['--unfreeze', outer.path])
    }
    t.ok((await writesWithin(image.path, 20_000)).ended, 'the late one as well, when its disk answers')
    await using again = await freeze([image.path, inner], { holdMs: 20_000 }, signal)
    t.ok(await again.hold(), 'and both can be frozen then')
  } finally {
    execFileSync('umount', [inner])
  }
})

void t.test('what is written back before the freezing may take longer than the freezing', { skip: MOUNT_SKIP }, async t => {
  using outer = mountLoop('ext4', 400)
  using image = mountWithin(outer.path)
  await writeFile(join(image.path, 'dirty'), Buffer.alloc(1 << 20, 7))
  execFileSync('fsfreeze', ['--freeze', outer.path])
  const late = setTimeout(() => { execFileSync('fsfreeze', ['--unfreeze', outer.path]) }, 3000)
  t.teardown(() => { clearTimeout(late) })
  await using frozen = await freeze([image.path], { holdMs: 20_000, freezeMs: 1500 }, signal)
  t.ok(await frozen.hold())
})

void t.test('a file system in whose freezing a writer hangs is given up, and thaws when it freezes too late though all processes of ours were killed', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  // the write holds the volume while it waits for a page of its buffer
  const writer = spawn('python3', [HANGING_WRITER, join(volume.path, 'target')], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => { writer.kill('SIGKILL') })
  await once(writer.stdout, 'data')
  const holder = spawn(process.execPath, [HOLDER, volume.path, '60000', '2000'], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => { holder.kill('SIGKILL') })
  let said = ''
  holder.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
  holder.stderr.on('data', (chunk: Buffer) => { said += chunk.toString() })
  await until(() => said.includes('FREEZE_TIMEOUT'), 20_000)
  const { watch, guard } = await watchdogOf(holder.pid ?? 0)
  holder.kill('SIGKILL')
  writer.stdin.write('go on\n')
  t.ok((await writesWithin(volume.path, 20_000)).ended)
  const ended = once(writer, 'exit')
  writer.kill('SIGKILL')
  await ended
  // they hold the volume until they have seen that it thawed
  await until(() => ![holder.pid ?? 0, watch, guard].some(pid => existsSync(`/proc/${String(pid)}`)), 20_000)
})

for (const who of ['watch', 'guard', 'watch and guard', 'agent and watch', 'agent and guard', 'agent'] as const) {
  for (let round = 0; round < ROUNDS; round++) {
    const seed = SEED + round
    void t.test(`killing the ${who} at a random moment ends in a thaw long before the hold time (seed ${String(seed)})`, { skip: MOUNT_SKIP }, async t => {
      using first = mountLoop('ext4', 100)
      using second = mountLoop('xfs', 400)
      const random = randomNumbers(seed)
      const holder = spawn(process.execPath, [HOLDER, `${first.path},${second.path}`, '60000'], { stdio: ['ignore', 'pipe', 'ignore'] })
      let pids: number[] = []
      try {
        await once(holder.stdout, 'data') // the watchdog is there, the freezing begins
        const { watch, guard } = await watchdogOf(holder.pid ?? 0)
        pids = [watch, guard]
        const victims = { watch: [watch], guard: [guard], 'watch and guard': [watch, guard], 'agent and watch': [holder.pid ?? 0, watch], 'agent and guard': [holder.pid ?? 0, guard], agent: [holder.pid ?? 0] }[who]
        await new Promise(resolve => { setTimeout(resolve, random(150)) })
        for (const pid of random(2) === 0 ? victims : victims.toReversed()) process.kill(pid, 'SIGKILL')
        await new Promise(resolve => { setTimeout(resolve, 100) }) // as long as it may be frozen after the kill at most, on a machine that has time
        for (const { path } of [first, second]) t.ok((await writesWithin(path, 10_000)).ended, path)
      } finally {
        holder.kill('SIGKILL')
        await until(() => !pids.some(pid => existsSync(`/proc/${String(pid)}`)), 5000)
      }
    })
  }
}

void t.test('what is logged while frozen waits for the thaw', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  const log = join(volume.path, 'log')
  const holder = spawn('sh', ['-c', 'exec "$0" "$@" 2> "$LOG"', process.execPath, HOLDER, volume.path, '2000', '15000', 'log'], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, LOG: log } })
  const ended = once(holder, 'exit')
  let said = ''
  holder.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
  await until(() => said.includes('thawed'), 20_000)
  holder.kill('SIGKILL')
  await ended
  t.match(said, /logged[^]*held[^]*thawed/, 'it logged, went on while frozen, and thawed when told')
  t.match(await readFile(log, 'utf8'), /a line while frozen/)
})

void t.test('a directory that is no mount point is refused', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  mkdirSync(join(volume.path, 'plain'))
  await t.rejects(freeze([join(volume.path, 'plain')], { holdMs: 1000 }, signal), { code: 'FREEZE_FAILED', message: /no file system is mounted there/ })
})

void t.test('volumes that are subvolumes of one btrfs are frozen once', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('btrfs', 256)
  const device = execFileSync('findmnt', ['-no', 'SOURCE', volume.path], { encoding: 'utf8' }).trim()
  const directory = t.testdir()
  const places = ['root', 'home'].map(name => {
    const [subvolume, place] = [join(volume.path, name), join(directory, name)]
    execFileSync('btrfs', ['subvolume', 'create', subvolume], { stdio: 'ignore' })
    mkdirSync(place)
    execFileSync('mount', ['-t', 'btrfs', '-o', `subvol=${name}`, device, place])
    return { path: place, [Symbol.dispose]: () => { execFileSync('umount', [place]) } }
  })
  using mounts = new DisposableStack()
  for (const place of places) mounts.use(place)
  const frozen = await freeze(places.map(({ path }) => path), { holdMs: 30_000 }, signal)
  try {
    t.equal(await frozen.hold(), true)
  } finally {
    await frozen.thaw()
  }
  for (const { path } of places) writeFileSync(join(path, 'after'), '')
})
