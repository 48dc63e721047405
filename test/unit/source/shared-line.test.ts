import t from 'tap'
import { createMemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import type { ReplicationProgress } from '../../../src/domain/progress.ts'
import type { Ratio } from '../../../src/domain/transmission.ts'
import { mirrorBesideReplication } from '../../../src/source/mirror-beside-replication.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { encodeOperation } from '../../../src/wire/operation-codec.ts'
import { VirtualClock } from '../../scenario/virtual-clock.ts'
import { TreeStream } from '../../tree-stream.ts'
import { metadata, path, SIGNAL } from '../replication/live-source.ts'

const FILE_BYTES = 100_000
const LINE_BYTES_PER_S = 1_000_000
const DIRECTORIES = 20
const FILES = 5
const MIRROR_BYTES = DIRECTORIES * FILES * FILE_BYTES
const WHOLE_LINE_MS = MIRROR_BYTES / LINE_BYTES_PER_S * 1000

/** A line on which so many bytes go in a second. */
class Line extends TreeStream {
  readonly #clock: VirtualClock
  constructor(replica: MemoryTree, clock: VirtualClock) {
    super(new Map([[0, replica]]))
    this.#clock = clock
  }

  override async send(...given: Parameters<TreeStream['send']>): Promise<number> {
    const bytes = given[1].length
    const sequence = await super.send(...given)
    await this.#clock.sleep(bytes / LINE_BYTES_PER_S * 1000, given[2])
    return sequence
  }
}

/** Mirrors while a file of the root is written anew every `everyMs`; how long it took, and the longest latency that was told. */
async function mirrored(everyMs: number, ratio: Ratio): Promise<{ tookMs: number, latencyMs: number, replicatedBytes: number }> {
  const clock = new VirtualClock()
  const source = new MemoryTree()
  const write = async (at: string): Promise<void> => {
    await source.apply(encodeOperation({ kind: 'file', path: path(at), sizeBytes: FILE_BYTES, complete: true, metadata: metadata(0o644), extents: [{ offset: 0, data: Buffer.alloc(FILE_BYTES, clock.now() % 251) }] }), SIGNAL)
  }
  for (let d = 0; d < DIRECTORIES; d++) {
    await source.apply(encodeOperation({ kind: 'directory', path: path(`d${String(d)}`), metadata: metadata(0o755) }), SIGNAL)
    for (let f = 0; f < FILES; f++) await write(`d${String(d)}/${String(f)}`)
  }
  const changes = createMemoryChangeSource({ now: () => clock.now() })
  const over = new AbortController()
  const writing = (async () => {
    try {
      for (let number = 0; ; number++) {
        const name = `hot-${String(number % 50)}`
        await write(name)
        changes.mark({ kind: number < 50 ? 'entry' : 'data', volume: 0, path: path(name), atMs: clock.now() })
        await clock.sleep(everyMs, over.signal)
      }
    } catch (error) {
      if (!over.signal.aborted) throw error
    }
  })()
  const beganMs = clock.now()
  const told: ReplicationProgress[] = []
  await mirrorBesideReplication({
    volumes: new Map([[0, source]]), stream: new Line(new MemoryTree(), clock), request: { compare: 'none', orphans: 'delete' }, clock, changes, ratio: () => ratio, keepsDeleted: () => false,
    report: () => undefined, reportReplication: progress => { told.push(progress) },
  }, SIGNAL)
  over.abort()
  await writing
  return { tookMs: clock.now() - beganMs, latencyMs: Math.max(...told.map(({ recoveryPointLatencyMs }) => recoveryPointLatencyMs)), replicatedBytes: told.at(-1)?.bytesSent ?? 0 }
}

t.test('while a mirror has more than the line takes, what it has passed stays seconds behind', async t => {
  const { tookMs, latencyMs, replicatedBytes } = await mirrored(500, { mirror: 1, replication: 1 })
  t.comment({ tookMs, latencyMs, replicatedBytes })
  t.ok(tookMs >= WHOLE_LINE_MS, 'the mirror took its time')
  t.ok(latencyMs < 4000, `${String(latencyMs)} ms`)
  t.ok(replicatedBytes > tookMs / 500 * FILE_BYTES * 0.7, 'nearly all of the changes were sent meanwhile')
})

t.test('a mirror ends under more changes than the line takes, in the time that its share gives it', async t => {
  const took: number[] = []
  for (const [ratio, factor] of [[{ mirror: 1, replication: 1 }, 2], [{ mirror: 3, replication: 1 }, 4 / 3]] as const) {
    const { tookMs, replicatedBytes } = await mirrored(20, ratio)
    t.comment({ ratio, tookMs, replicatedBytes })
    const expectedMs = WHOLE_LINE_MS * factor
    t.ok(tookMs > expectedMs * 0.9 && tookMs < expectedMs * 1.5, `${JSON.stringify(ratio)}: ${String(tookMs)} ms, ${String(expectedMs)} by its share`)
    took.push(tookMs)
  }
  const [even = 0, favoured = 0] = took
  t.ok(favoured < even)
})
