/** Renames on real file systems, as replication carries them: moved on the replica, not sent again. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import type { LesserKernel } from '../../../src/posix/capture.ts'
import type { Replicator } from '../../../src/replication/replicator.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { decodeOperations, type OperationBatch } from '../../../src/wire/operation-codec.ts'
import { differences } from '../../oracle.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { copyTree } from '../../zoo/copy.ts'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(500_000)
const DEADLINE_MS = 120_000
const EXCHANGE = 'import ctypes, os, sys; sys.exit(0 if ctypes.CDLL(None).renameat2(-100, os.fsencode(sys.argv[1]), -100, os.fsencode(sys.argv[2]), 2) == 0 else 1)'

/** Moves file-0 .. file-99 and leaves whiteouts, as overlayfs does, which then move on: nothing tells that these were made. */
const WHITEOUTS = `
import ctypes, os, sys
os.chdir(sys.argv[1])
for i in range(100):
    if ctypes.CDLL(None, use_errno=True).renameat2(-100, b"file-%d" % i, -100, b"moved-%d" % i, 4) != 0: sys.exit(ctypes.get_errno())
    os.rename("file-%d" % i, "white-%d" % i)
`

class CountingStream extends TreeStream {
  operations = 0

  override async send(volume: number, batch: OperationBatch, inner: AbortSignal): Promise<number> {
    for (const operation of decodeOperations(batch)) if (operation.path.length > 0) this.operations++
    return await super.send(volume, batch, inner)
  }
}

/** Directories of a hundred small files each, and one large file. */
function fill(root: string, files: number): void {
  for (let d = 0; d < files / 100; d++) {
    const directory = join(root, `d${String(d % 20)}`, `e${String(d)}`)
    mkdirSync(directory, { recursive: true })
    for (let f = 0; f < 100; f++) writeFileSync(join(directory, `f${String(f)}`), `content ${String(d)} ${String(f)}`)
  }
  writeFileSync(join(root, 'large'), Buffer.alloc(5_000_000, 'large'))
}

interface Running extends AsyncDisposable {
  source: string
  replica: string
  stream: CountingStream
  /** Everything that happened so far is on the replica when it resolves. */
  caughtUp: () => Promise<void>
  findings: string[]
  drain: () => ReturnType<Replicator['drain']>
}

/** A mirrored volume that is replicated, past its first cycle. */
async function replicating(type: LoopType, prepare: (root: string) => void, lesser: LesserKernel = {}): Promise<Running> {
  const stack = new AsyncDisposableStack()
  const source = stack.use(mountLoop(type, 600))
  const target = stack.use(mountLoop(type, 600))
  const replica = join(target.path, 'replica')
  mkdirSync(replica)
  prepare(source.path)
  const changes = stack.use(await openFanotifyChangeSource({ volumes: new Map([[0, source.path]]), clock: systemClock, lesser }, signal))
  const from = stack.use(await openPosixSourceTree(source.path, signal))
  const to = stack.use(await openPosixTargetTree(replica, signal))
  await copyTree(from, to, signal)
  const stream = new CountingStream(new Map([[0, to]]))
  const { replicator, findings, begin } = treeReplicator(from, changes, stream)
  let markers = 0
  const end = begin()
  stack.defer(end)
  /** One cycle that began after the call has ended. */
  const cycle = async (): Promise<void> => {
    const until = Date.now() + DEADLINE_MS
    const marker = join(source.path, `marker-${String(++markers)}`)
    writeFileSync(marker, '')
    const seen = join(replica, marker.slice(source.path.length + 1))
    while (!exists(seen) || replicator.progress().queued > 0) {
      if (Date.now() > until) throw new Error('replication does not catch up')
      await systemClock.sleep(20, signal)
    }
  }
  // and another one, in which nothing of interest is looked at: what moves during it is certain
  const caughtUp = async (): Promise<void> => {
    await cycle()
    await cycle()
  }
  await caughtUp()
  const drain = async (): ReturnType<Replicator['drain']> => {
    await end()
    return await replicator.drain({}, signal)
  }
  return { source: source.path, replica, stream, findings, caughtUp, drain, [Symbol.asyncDispose]: async () => { await stack.disposeAsync() } }
}

function exists(path: string): boolean {
  const at = path.lastIndexOf('/')
  return readdirSync(path.slice(0, at)).includes(path.slice(at + 1))
}

const FILES = 20_000

for (const type of ['ext4', 'xfs'] as const) {
  void t.test(`renaming a tree of ${String(FILES)} files on ${type} is one move, to another directory as well, and by exchange`, { skip: MOUNT_SKIP }, async t => {
    await using world = await replicating(type, root => {
      fill(join(root, 'tree'), FILES)
      mkdirSync(join(root, 'other/inner'), { recursive: true })
      writeFileSync(join(root, 'other/inner/file'), 'in the other tree')
    })
    const { source, stream, caughtUp } = world
    const steps: readonly [string, () => void][] = [
      ['renamed', () => { renameSync(join(source, 'tree'), join(source, 'renamed')) }],
      ['moved into a new directory', () => { mkdirSync(join(source, 'new')); renameSync(join(source, 'renamed'), join(source, 'new/tree')) }],
      ['exchanged with another tree', () => { execFileSync('python3', ['-c', EXCHANGE, join(source, 'new/tree'), join(source, 'other')]) }],
      ['renamed with its parent', () => { renameSync(join(source, 'other/d3'), join(source, 'other/three')); renameSync(join(source, 'other'), join(source, 'last')) }],
    ]
    for (const [what, step] of steps) {
      const before = { bytes: stream.bytesSent, operations: stream.operations }
      step()
      await caughtUp()
      t.ok(stream.bytesSent - before.bytes < 20_000, `${what}: ${String(stream.bytesSent - before.bytes)} bytes`)
      t.ok(stream.operations - before.operations < 60, `${what}: ${String(stream.operations - before.operations)} operations`)
    }
    await world.drain()
    t.same(await differences(source, world.replica), [])
    t.same(world.findings, [])
  })

  for (const lesser of type === 'ext4' ? [{}, { before517: true }] : [{}]) void t.test(`what changed in a renamed tree on ${type}, and what took its place, arrives as well ${JSON.stringify(lesser)}`, { skip: MOUNT_SKIP }, async t => {
    await using world = await replicating(type, root => { fill(join(root, 'tree'), 1000) }, lesser)
    const { source, stream } = world
    const before = stream.bytesSent
    renameSync(join(source, 'tree'), join(source, 'old'))
    appendFileSync(join(source, 'old/d1/e1/f1'), 'more')
    appendFileSync(join(source, 'old/large'), 'more')
    rmSync(join(source, 'old/d2/e2/f2'))
    renameSync(join(source, 'old/d3/e3'), join(source, 'old/d3/three'))
    chmodSync(join(source, 'old/d4'), 0o700)
    fill(join(source, 'tree'), 200)
    linkSync(join(source, 'old/d5/e5/f5'), join(source, 'tree/linked'))
    renameSync(join(source, 'old/large'), join(source, 'large'))
    await world.caughtUp()
    // the new large file, and what is small; where nothing tells what an event is about, what moved is sent again
    t.ok(stream.bytesSent - before < ('before517' in lesser ? 12_000_000 : 6_000_000), `${String(stream.bytesSent - before)} bytes`)
    await world.drain()
    t.same(await differences(source, world.replica), [])
    t.same(world.findings, [])
  })

  void t.test(`files given other names on ${type} are moved, also large ones and those with several names`, { skip: MOUNT_SKIP }, async t => {
    await using world = await replicating(type, root => {
      fill(join(root, 'tree'), 1000)
      linkSync(join(root, 'tree/large'), join(root, 'second'))
      writeFileSync(join(root, 'third'), Buffer.alloc(3_000_000, 'third'))
    })
    const { source, stream } = world
    const before = stream.bytesSent
    renameSync(join(source, 'tree/large'), join(source, 'first'))
    renameSync(join(source, 'second'), join(source, 'tree/second'))
    linkSync(join(source, 'third'), join(source, 'fourth'))
    rmSync(join(source, 'third'))
    for (let f = 0; f < 100; f++) renameSync(join(source, `tree/d1/e1/f${String(f)}`), join(source, `tree/d2/g${String(f)}`))
    await world.caughtUp()
    t.ok(stream.bytesSent - before < 60_000, `${String(stream.bytesSent - before)} bytes`)
    await world.drain()
    t.same(await differences(source, world.replica), [])
    t.same(world.findings, [])
  })

  void t.test(`whiteouts that a rename on ${type} leaves behind are not taken for what moved`, { skip: MOUNT_SKIP }, async t => {
    await using world = await replicating(type, root => {
      for (let f = 0; f < 100; f++) writeFileSync(join(root, `file-${String(f)}`), `file ${String(f)}`)
    })
    execFileSync('python3', ['-c', WHITEOUTS, world.source])
    await world.caughtUp()
    await world.drain()
    t.same(await differences(world.source, world.replica), [])
    t.same(world.findings, [])
  })
}
