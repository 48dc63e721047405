/** A source and an appliance in one process that talk over a link: memory trees on both sides, the real session, server, mirror and replication. */
import { createMemoryChangeSource, type MemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import type { FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { parseRelPath, ROOT_PATH, type RelPath } from '../../../src/domain/rel-path.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { linkLog } from '../../../src/logging/logger.ts'
import type { Frozen } from '../../../src/replication/freezer.ts'
import { linkSourceServer } from '../../../src/source/link-source-server.ts'
import { SourceCapture, type CaptureSeams } from '../../../src/source/source-capture.ts'
import type { SourceServer, Targets } from '../../../src/source/source-server.ts'
import { runSourceSession, type SourceSessionOptions } from '../../../src/source/source-session.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { TargetTree } from '../../../src/tree/target-tree.ts'
import type { Link } from '../../../src/wire/link.ts'
import { memoryLinkPair, type MemoryLinkPair } from '../../../src/wire/memory-link.ts'
import { encodeOperations } from '../../../src/wire/operation-codec.ts'

export const METADATA: FileMetadata = { mode: 0o644, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 1_000_000_000n, atimeNs: 0n, xattrs: [] }
export const at = (text: string): RelPath => parseRelPath(Buffer.from(text))
export const soon = (): AbortSignal => AbortSignal.timeout(10_000)
/** volume 1 of every job here */
export const ROOTS = [{ index: 1, path: '/' }]
export const targetsOf = (tree: TargetTree): Targets => new Map([[1, tree]])
export const EVERYTHING = { compare: 'none', orphans: 'delete' } as const
export const nothing = (): void => undefined

export function file(path: string, text: string): FileOperation {
  const data = Buffer.from(text)
  return { kind: 'file', path: at(path), sizeBytes: data.length, complete: true, metadata: METADATA, extents: data.length === 0 ? [] : [{ offset: 0, data }] }
}

export const directory = (path: string): FileOperation => ({ kind: 'directory', path: path === '' ? ROOT_PATH : at(path), metadata: { ...METADATA, mode: 0o755 } })

export async function change(tree: MemoryTree, ...operations: FileOperation[]): Promise<void> {
  const { failures } = await tree.apply(encodeOperations(operations), soon())
  if (failures.length > 0) throw new Error(`the tree refuses ${JSON.stringify(failures)}`)
}

/** What a tree holds, by path: the content of files, the type of the rest. */
export async function contentOf(tree: MemoryTree, below: RelPath = ROOT_PATH): Promise<Record<string, string>> {
  const { listingEntries } = await import('../../../src/wire/listing-codec.ts')
  const found: Record<string, string> = {}
  for await (const page of tree.list(below, soon())) {
    for (const entry of listingEntries(page)) {
      const path = at(below.length === 0 ? entry.name.toString() : `${below.toString()}/${entry.name.toString()}`)
      if (entry.type === 'directory') Object.assign(found, await contentOf(tree, path))
      if (entry.type === 'file') {
        await using opened = await tree.openFile(path, soon())
        found[path.toString()] = (await opened.read(0, entry.sizeBytes, soon())).toString()
      } else found[path.toString()] = entry.type
    }
  }
  return found
}

export const WORKLOAD: Workload = {
  version: 1, hostName: 'source', machineId: 'm', os: { id: 'debian', idLike: [], versionId: '12', prettyName: 'Debian', architecture: 'x86_64' }, firmware: 'bios',
  cpu: { sockets: 1, coresPerSocket: 1, model: 'x' }, memoryBytes: 1, disks: [], volumes: [], adapters: [], routes: [], dns: { servers: [], search: [] },
  boot: { loader: 'grub2', bootDisks: [], kernels: [], commandLine: '', initramfsTool: 'initramfs-tools' }, capture: { tier: 'A', reason: '', unseen: [] }, findings: [],
}

/** A freeze that only counts. */
export class CountedFreeze implements Frozen {
  readonly frozenAtMs = 1234
  readonly holdMs: number
  holds = 0
  state: 'frozen' | 'thawed' = 'frozen'
  readonly #kept: AsyncDisposable[] = []
  readonly #thawed = new AbortController()
  constructor(holdMs: number) { this.holdMs = holdMs }
  get thawed(): AbortSignal { return this.#thawed.signal }
  async hold(): Promise<boolean> { this.holds++; return this.state === 'frozen' }
  async thaw(): Promise<void> {
    if (this.state === 'frozen') this.state = 'thawed'
    this.#thawed.abort()
    for (const kept of this.#kept.splice(0)) await kept[Symbol.asyncDispose]()
  }
  /** As when nobody has held it. */
  expire(): void {
    this.state = 'thawed'
    this.#thawed.abort(new AppError('SOURCE_THAWED', 'nobody held it'))
  }
  keep(resource: AsyncDisposable): void { this.#kept.push(resource) }
  async [Symbol.asyncDispose](): Promise<void> { await this.thaw() }
}

/** The source: what lives as long as the agent. */
export class TestSource implements AsyncDisposable {
  readonly tree = new MemoryTree()
  readonly changes: MemoryChangeSource = createMemoryChangeSource({ epoch: 'epoch-1' })
  readonly freezes: CountedFreeze[] = []
  readonly capture: SourceCapture
  poweredOff = 0
  /** what changes just before the freeze */
  onFreeze: () => void = () => undefined

  constructor(seams: Partial<CaptureSeams> = {}) {
    this.capture = new SourceCapture({
      resolve: path => path, openTree: async () => this.tree, openChanges: async () => this.changes,
      freeze: async (_, { holdMs }) => {
        const frozen = new CountedFreeze(holdMs)
        this.freezes.push(frozen)
        this.onFreeze()
        return frozen
      },
      ...seams,
    })
  }

  sessionOptions(link: Link): SourceSessionOptions {
    return {
      link, capture: this.capture, describe: async () => WORKLOAD, agentVersion: '1.2.3', clock: systemClock, log: linkLog.child({}, { level: 'silent' }),
      powerOff: async () => { this.poweredOff++ },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.capture[Symbol.asyncDispose]() }
}

/** A source with a directory of so many small files. */
export async function filled(count = 40): Promise<TestSource> {
  const source = new TestSource()
  await change(source.tree, directory('etc'), ...Array.from({ length: count }, (_, i) => file(`etc/${String(i).padStart(3, '0')}`, `content ${String(i)}`)))
  return source
}

export interface Conversation extends AsyncDisposable {
  server: SourceServer
  links: MemoryLinkPair
  /** settles when the agent's side has ended */
  session: Promise<void>
}

/** Connects the source to a new server over a memory link. */
export async function converse(source: TestSource, change: Partial<SourceSessionOptions> = {}): Promise<Conversation> {
  const links = memoryLinkPair()
  const session = runSourceSession({ ...source.sessionOptions(links.agent), ...change }, new AbortController().signal)
  session.catch(() => undefined)
  const messages = links.appliance.receive()[Symbol.asyncIterator]()
  const first = await messages.next()
  if (first.done === true || first.value.type !== 'control' || first.value.control.kind !== 'hello') throw new Error('no hello')
  await links.appliance.send({ type: 'control', control: { kind: 'welcome', applianceVersion: '1' } }, soon())
  const server = linkSourceServer({ link: links.appliance, messages, sourceId: 'source-1', hello: first.value.control, clock: systemClock, log: linkLog.child({}, { level: 'silent' }) })
  return {
    server, links, session,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await Promise.allSettled([session])
    },
  }
}
