/** Somebody swaps a directory of the replica for a link to the outside while operations are applied to it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { MOUNT_SKIP } from '../zoo/loop-file-system.ts'
import { randomNumbers } from './random-numbers.ts'
import { apply, directory, fifo, file, link, metadata, remove, rename, symlink, write } from '../zoo/tree-pair.ts'
import { SEED } from '../seed.ts'

const signal = new AbortController().signal
const RUN_MS = 4000

/** Swaps d for a link to `outside` and back as fast as it can, until it is told to stop. */
const SWAPPER = `
const { renameSync, symlinkSync, unlinkSync, rmSync } = require('node:fs')
const { workerData, parentPort } = require('node:worker_threads')
const { inside, outside, stop } = workerData
const told = new Int32Array(stop)
let swaps = 0
while (Atomics.load(told, 0) === 0) {
  try {
    renameSync(inside + '/d', inside + '/aside')
    symlinkSync(outside, inside + '/d')
    swaps++
    rmSync(inside + '/d', { recursive: true, force: true })
    renameSync(inside + '/aside', inside + '/d')
  } catch {
    rmSync(inside + '/aside', { recursive: true, force: true })
  }
}
parentPort.postMessage(swaps)
`

void t.test(`nothing outside the root changes while directories turn into links under the receiver (SEED=${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
  const base = mkdtempSync(join(tmpdir(), 'landfall-race-'))
  const inside = join(base, 'inside')
  const outside = join(base, 'outside')
  mkdirSync(join(inside, 'd'), { recursive: true })
  mkdirSync(join(outside, 'e'), { recursive: true })
  const victims = ['a', 'b', 'e/a', 'e/b']
  for (const name of victims) writeFileSync(join(outside, name), 'precious')
  const before = victims.map(name => statSync(join(outside, name), { bigint: true }).ctimeNs)
  const stop = new SharedArrayBuffer(4)
  const swapper = new Worker(SWAPPER, { eval: true, workerData: { inside, outside, stop } })
  const swaps = new Promise<unknown>(resolve => swapper.once('message', resolve))
  const ended = new Promise(resolve => swapper.once('exit', resolve))
  try {
    await using target = await openPosixTargetTree(inside, signal)
    const random = randomNumbers(SEED)
    const names = ['d/a', 'd/b', 'd/e/a', 'd/e/b', 'd/new', 'd/e']
    const name = (): string => names[random(names.length)] ?? 'd/a'
    const kinds = [
      () => file(name(), 'evil'), () => write(name(), 0, 'evil'), () => remove(name()), () => link(name(), name()), () => rename(name(), name()),
      () => metadata(name(), { uid: 99, mode: 0o777 }), () => directory('d'), () => directory('d/e', { mode: 0o777 }), () => symlink(name(), outside), () => fifo(name()), () => remove('d'),
    ]
    let applied = 0
    for (const end = performance.now() + RUN_MS; performance.now() < end;) {
      const operations = Array.from({ length: 50 }, () => (kinds[random(kinds.length)] ?? (() => directory('d')))())
      applied += operations.length - (await apply(target, ...operations)).failures.length
    }
    Atomics.store(new Int32Array(stop), 0, 1)
    const swapped = Number(await swaps)
    await ended
    t.ok(swapped > 50, `${String(swapped)} swaps`)
    t.ok(applied > 500, `${String(applied)} operations applied`)
    t.same(readdirSync(outside).sort(), ['a', 'b', 'e'])
    t.same(readdirSync(join(outside, 'e')).sort(), ['a', 'b'])
    t.same(victims.map(victim => readFileSync(join(outside, victim), 'utf8')), victims.map(() => 'precious'))
    t.same(victims.map(victim => statSync(join(outside, victim), { bigint: true }).ctimeNs), before, 'not even their metadata')
  } finally {
    Atomics.store(new Int32Array(stop), 0, 1)
    await ended
    rmSync(base, { recursive: true })
  }
})

void t.test('a device or a FIFO at the place of a file is replaced, never opened', { skip: MOUNT_SKIP }, async t => {
  const base = mkdtempSync(join(tmpdir(), 'landfall-race-'))
  try {
    await using target = await openPosixTargetTree(base, signal)
    await apply(target, fifo('f'))
    // would block for ever, or fail with ENXIO, if the FIFO were opened
    const refused = (await apply(target, write('f', 0, 'x'))).failures.map(f => f.errno)
    t.same(refused, ['ENOENT'])
    t.same((await apply(target, file('f', 'now a file'))).failures, [])
    t.equal(readFileSync(join(base, 'f'), 'utf8'), 'now a file')
    renameSync(join(base, 'f'), join(base, 'g'))
    symlinkSync('g', join(base, 'f'))
    t.same((await apply(target, write('f', 0, 'x'))).failures.map(f => f.errno), ['ENOENT'])
    t.equal(readFileSync(join(base, 'g'), 'utf8'), 'now a file')
  } finally {
    rmSync(base, { recursive: true })
  }
})
