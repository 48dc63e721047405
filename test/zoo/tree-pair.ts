/** A tree seen through both interfaces, and short ways to say operations; for contract and property tests of trees. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FileMetadata, FileOperation } from '../../src/domain/file-operation.ts'
import { joinRelPath, parseRelPath, ROOT_PATH, type RelPath } from '../../src/domain/rel-path.ts'
import { MemoryTree } from '../../src/tree/memory-tree.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import type { SourceTree } from '../../src/tree/source-tree.ts'
import type { ApplyResult, TargetTree } from '../../src/tree/target-tree.ts'
import { listingEntries, type ListingEntry } from '../../src/wire/listing-codec.ts'
import { encodeOperations } from '../../src/wire/operation-codec.ts'
import { tameZoo } from './zoo.ts'

export interface TreePair extends AsyncDisposable { target: TargetTree, source: SourceTree }

/** Opens a new, empty tree. */
export type OpenPair = () => Promise<TreePair>

const signal = new AbortController().signal

export const openMemoryPair: OpenPair = () => {
  const tree = new MemoryTree()
  return Promise.resolve({ target: tree, source: tree, [Symbol.asyncDispose]: () => Promise.resolve() })
}

/** In a directory of its own below `base`, which is removed again. */
export async function openPosixPair(base = tmpdir()): Promise<TreePair & { path: string }> {
  const path = mkdtempSync(join(base, 'landfall-tree-'))
  const target = await openPosixTargetTree(path, signal)
  const source = await openPosixSourceTree(path, signal)
  return {
    target, source, path,
    [Symbol.asyncDispose]: async () => {
      await target[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
      tameZoo(path)
      rmSync(path, { recursive: true })
    },
  }
}

export const rel = (path: string): RelPath => parseRelPath(Buffer.from(path, 'latin1'))

export const METADATA: FileMetadata = { mode: 0o640, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 1_600_000_000_123_456_789n, atimeNs: 1_500_000_000_000_000_001n, xattrs: [] }

export const directory = (path: string, change: Partial<FileMetadata> = {}): FileOperation => ({ kind: 'directory', path: rel(path), metadata: { ...METADATA, mode: 0o750, ...change } })
export const file = (path: string, content: string, change: Partial<FileMetadata> = {}): FileOperation => ({
  kind: 'file', path: rel(path), sizeBytes: content.length, complete: true, metadata: { ...METADATA, ...change },
  extents: content === '' ? [] : [{ offset: 0, data: Buffer.from(content, 'latin1') }],
})
export const symlink = (path: string, target: string): FileOperation => ({ kind: 'symlink', path: rel(path), target: Buffer.from(target), metadata: METADATA })
export const fifo = (path: string): FileOperation => ({ kind: 'node', path: rel(path), nodeType: 'fifo', deviceMajor: 0, deviceMinor: 0, metadata: METADATA })
export const link = (path: string, existing: string): FileOperation => ({ kind: 'link', path: rel(path), existing: rel(existing) })
export const rename = (path: string, to: string): FileOperation => ({ kind: 'rename', path: rel(path), to: rel(to) })
export const remove = (path: string): FileOperation => ({ kind: 'remove', path: rel(path) })
export const write = (path: string, offset: number, data: string): FileOperation => ({ kind: 'write', path: rel(path), offset, data: Buffer.from(data, 'latin1') })
export const metadata = (path: string, change: Partial<FileMetadata> = {}): FileOperation => ({ kind: 'metadata', path: rel(path), metadata: { ...METADATA, ...change } })
export const xattr = (name: string, value: string): FileMetadata['xattrs'][number] => ({ name: Buffer.from(name), value: Buffer.from(value) })

export async function apply(target: TargetTree, ...operations: FileOperation[]): Promise<ApplyResult> {
  return await target.apply(encodeOperations(operations), signal)
}

/** Errnos of the failures by position. */
export function refusals(result: ApplyResult): Record<number, string> {
  return Object.fromEntries(result.failures.map(f => [f.index, f.errno]))
}

export async function entry(source: SourceTree, path: string): Promise<ListingEntry | undefined> {
  const page = await source.look(rel(path), signal)
  return page === undefined ? undefined : [...listingEntries(page)][0]
}

export async function content(source: SourceTree, path: string): Promise<string> {
  await using opened = await source.openFile(rel(path), signal)
  return (await opened.read(0, opened.sizeBytes, signal)).toString('latin1')
}

/** Every path with what it is, in words that tests can compare; links as groups of names. Times only where an operation has set them. */
export async function describeTree(source: SourceTree): Promise<string[]> {
  const lines: string[] = []
  const groups = new Map<bigint, string>()
  const left: RelPath[] = [ROOT_PATH]
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    for await (const page of source.list(path, signal)) {
      for (const e of listingEntries(page)) {
        const child = joinRelPath(path, e.name)
        const name = child.toString('latin1')
        if (e.type === 'directory') left.push(child)
        const group = e.type === 'directory' ? '' : groups.get(e.inode) ?? name
        groups.set(e.inode, group)
        const core = e.core
        const time = core.mtimeNs % 1_000_000_000n === 123_456_789n ? String(core.mtimeNs) : 'unset'
        const attributes = core.xattrs.map(x => `${x.name.toString('hex')}=${x.value.toString('hex')}`).join(',')
        const data = e.type === 'file' ? JSON.stringify(await content(source, name)) : ''
        lines.push([name, e.type, e.sizeBytes, e.deviceMajor, e.deviceMinor, e.symlinkTarget.toString('hex'), core.mode.toString(8), core.uid, core.gid, core.flags, time, attributes, group, data].join(' '))
      }
    }
  }
  return lines.sort()
}
