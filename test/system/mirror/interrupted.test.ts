import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fillUp } from '../../interrupted/ballast.ts'
import { Ends, type MirrorTask } from '../../interrupted/ends.ts'
import { changeTree, fillTree, Random } from '../../interrupted/random.ts'
import { mountLoop, MOUNT_SKIP, type LoopFileSystem, type LoopType } from '../../zoo/loop-file-system.ts'
import { buildZoo, differences, tameZoo } from '../../zoo/zoo.ts'
import { SEED } from '../../seed.ts'

/** fewer to look at something quickly */
const INTERRUPTIONS = Number(process.env['INTERRUPTIONS'] ?? 100)
const LANES = ['ext4', 'xfs', 'btrfs'] as const
/** interruptions that one mirror suffers, at most */
const MAX_IN_A_ROW = 6
const COMPARES = ['none', 'attributes', 'data'] as const
const WITHOUT_POWER = ['kill-agent', 'kill-receiver', 'cut', 'full'] as const
const KINDS = [...WITHOUT_POWER, 'power'] as const
type Kind = typeof KINDS[number]

t.setTimeout(580_000)

interface Lane { volume: LoopFileSystem, sources: LoopFileSystem, ends: Ends, random: Random }

async function openLane(t: Test, type: LoopType, seed: number): Promise<Lane> {
  const base = mkdtempSync(join(tmpdir(), 'landfall-interrupted-'))
  t.teardown(() => { rmSync(base, { recursive: true }) })
  const sources = mountLoop('ext4', 512)
  t.teardown(() => { tameZoo(sources.path); sources[Symbol.dispose]() })
  const volume = mountLoop(type, 512)
  t.teardown(() => { tameZoo(volume.path); volume[Symbol.dispose]() })
  const ends = await Ends.open(base)
  t.teardown(async () => { await ends[Symbol.asyncDispose]() })
  return { volume, sources, ends, random: new Random(seed) }
}

/** One attempt that is interrupted at a random moment, unless it is complete before. Gives what happened, or undefined when the mirror is complete. */
async function attempt({ ends, volume, random }: Lane, task: MirrorTask, kind: Kind, isFirst: boolean): Promise<string | undefined> {
  const filled = kind === 'full' ? fillUp(volume.path, random.below(6_000_000)) : undefined
  const fire = Promise.withResolvers<undefined>()
  let timer: NodeJS.Timeout | undefined
  // in a first attempt by bytes, which spread over all its phases; later ones send little
  const byBytes = isFirst && random.chance(0.7)
  const moment = random.next()
  if (kind !== 'full') ends.line.reset(byBytes ? moment * 14_000_000 : Infinity, () => { fire.resolve(undefined) })
  else ends.line.reset()
  ends.begin(task, () => { if (!byBytes && kind !== 'full') timer = setTimeout(() => { fire.resolve(undefined) }, moment * 400) })
  const outcome = ends.outcome()
  const first = await Promise.race([outcome, fire.promise.then(() => 'fire' as const)])
  clearTimeout(timer)
  ends.line.reset()
  try {
    if (first !== 'fire') {
      if (first?.event === 'mirrored') return undefined
      if (kind === 'full' && first?.event === 'failed' && first.code === 'REPLICA_FULL') return 'full'
      throw new Error(`${kind}: ${JSON.stringify(first)}`)
    }
    switch (kind) {
      case 'kill-agent': await ends.killAgent(); break
      case 'kill-receiver': await ends.killReceiver(); break
      case 'cut': ends.line.cut(); break
      case 'power': await volume.powerLoss(async () => { await ends.killReceiver() }); break
      case 'full': break
    }
    return kind
  } finally {
    filled?.remove()
  }
}

async function complete({ ends }: Lane, task: MirrorTask): Promise<void> {
  ends.begin(task, () => undefined)
  const outcome = await ends.outcome()
  if (outcome?.event !== 'mirrored') throw new Error(`the last attempt: ${JSON.stringify(outcome)}`)
}

t.test(`a mirror ends equal whatever interrupts it (SEED=${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
  const counts: Record<string, number> = {}
  let interruptions = 0
  let number = 0
  const lane = async (type: LoopType, seed: number): Promise<void> => {
    const lane = await openLane(t, type, seed)
    const { random, sources, volume } = lane
    // btrfs has no way to lose its power
    const kinds = type === 'btrfs' ? WITHOUT_POWER : KINDS
    let [mirrors, powerlessEnds] = [0, 0]
    while (interruptions < INTERRUPTIONS) {
      const name = `round-${String(number++)}`
      const task: MirrorTask = { source: join(sources.path, name), target: join(volume.path, name), compare: random.pick(COMPARES) }
      mkdirSync(task.source)
      mkdirSync(task.target)
      mkdirSync(join(task.source, 'zoo'))
      // what ext4 has and the others lack would be differences of their own
      if (type === 'ext4' && random.chance(0.3)) buildZoo(join(task.source, 'zoo'))
      fillTree(task.source, random)
      const happened: string[] = []
      for (let i = 0; i < MAX_IN_A_ROW; i++) {
        const kind = random.pick(kinds)
        const interrupted = await attempt(lane, task, kind, i === 0)
        if (interrupted === undefined) break
        happened.push(interrupted)
        interruptions++
        counts[interrupted] = (counts[interrupted] ?? 0) + 1
        if (random.chance(0.25)) {
          changeTree(task.source, random)
          happened.push('changed')
        }
      }
      await complete(lane, task)
      await lane.ends.killReceiver()
      // of each lane's first mirror for certain
      if (type !== 'btrfs' && (powerlessEnds === 0 || random.chance(0.3))) {
        await volume.powerLoss(async () => undefined)
        happened.push('power when complete')
        powerlessEnds++
      }
      t.same(differences(task.source, task.target), [], `${name}, ${type}, ${task.compare}: ${happened.join(', ')}`)
      mirrors++
      for (const path of [task.source, task.target]) {
        tameZoo(path)
        rmSync(path, { recursive: true })
      }
    }
    counts[`mirrors on ${type}`] = mirrors
    if (type !== 'btrfs') counts[`power when complete on ${type}`] = powerlessEnds
  }
  await Promise.all(LANES.map(async (type, i) => { await lane(type, SEED + i) }))
  t.comment(JSON.stringify(counts))
  t.ok(interruptions >= INTERRUPTIONS)
  for (const type of ['ext4', 'xfs']) t.ok((counts[`power when complete on ${type}`] ?? 0) > 0, `power when complete on ${type}`)
  for (const type of LANES) t.ok((counts[`mirrors on ${type}`] ?? 0) > 0, `mirrors on ${type}`)
  if (INTERRUPTIONS >= 100) for (const kind of KINDS) t.ok((counts[kind] ?? 0) > 0, kind)
})

for (const compare of COMPARES) {
  t.test(`comparing ${compare}, what has safely arrived is not sent again`, { skip: MOUNT_SKIP }, async t => {
    const lane = await openLane(t, 'ext4', SEED)
    const task: MirrorTask = { source: join(lane.sources.path, 'source'), target: join(lane.volume.path, 'target'), compare }
    mkdirSync(task.source)
    mkdirSync(task.target)
    for (let i = 0; i < 400; i++) writeFileSync(join(task.source, `file-${String(i)}`), randomBytes(30_000))
    for (let i = 0; i < 7; i++) writeFileSync(join(task.source, `large-${String(i)}`), randomBytes(12_000_000))
    // much more than what is on its way when the receiver is killed
    const allBytes = 400 * 30_000 + 7 * 12_000_000
    const fire = Promise.withResolvers<undefined>()
    lane.ends.line.reset(allBytes * 0.75, () => { fire.resolve(undefined) })
    lane.ends.begin(task, () => undefined)
    await fire.promise
    await lane.ends.killReceiver()
    lane.ends.line.reset()
    await complete(lane, task)
    const resent = lane.ends.line.bytes
    t.comment(`${String(resent)} of ${String(allBytes)} bytes`)
    t.ok(resent < allBytes * 0.5, `${String(resent)} of ${String(allBytes)} bytes`)
    t.ok(resent > allBytes * 0.1, 'it was interrupted')
    t.same(differences(task.source, task.target), [])
  })
}

t.test('a replica that is full or read-only ends the mirror with its code', { skip: MOUNT_SKIP }, async t => {
  const lane = await openLane(t, 'ext4', SEED)
  const task: MirrorTask = { source: join(lane.sources.path, 'source'), target: join(lane.volume.path, 'target'), compare: 'none' }
  mkdirSync(task.source)
  mkdirSync(task.target)
  writeFileSync(join(task.source, 'file'), randomBytes(4_000_000))
  writeFileSync(join(task.source, 'second'), randomBytes(40_000_000))
  const filled = fillUp(lane.volume.path, 1_000_000)
  lane.ends.begin(task, () => undefined)
  t.match(await lane.ends.outcome(), { event: 'failed', code: 'REPLICA_FULL' })
  filled.remove()
  lane.volume.remount('ro')
  await lane.ends.killReceiver()
  lane.ends.begin(task, () => undefined)
  t.match(await lane.ends.outcome(), { event: 'failed', code: 'REPLICA_READ_ONLY' })
  lane.volume.remount('rw')
  await lane.ends.killReceiver()
  await complete(lane, task)
  t.same(differences(task.source, task.target), [])
})
