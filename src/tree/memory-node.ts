/** Objects of a tree in memory, and what an operation does to them: the same as the addon does to files. */
import { READ_ONLY_SUBVOLUME_FLAG, SUBVOLUME_FLAG, type FileMetadata, type FileOperation } from '../domain/file-operation.ts'
import { nameOf, parentOf, type RelPath } from '../domain/rel-path.ts'
import type { EntryType } from '../wire/listing-codec.ts'
import { SparseData } from './sparse.ts'

export interface MemoryNode {
  readonly inode: bigint
  readonly type: EntryType
  metadata: FileMetadata
  ctimeNs: bigint
  linkCount: number
  /** of a regular file */
  readonly data: SparseData
  /** of a symbolic link */
  readonly target: Buffer
  readonly deviceMajor: number
  readonly deviceMinor: number
  /** of a directory: name bytes as latin1, which sorts as bytes do */
  readonly children: Map<string, MemoryNode>
}

/** Why an operation cannot be applied. */
export class Refusal extends Error {
  readonly errno: string
  /** only this much of the metadata was not taken */
  readonly partial: boolean
  constructor(errno: string, what = '', partial = false) {
    super(what)
    this.errno = errno
    this.partial = partial
  }
}

type Shape = Pick<MemoryNode, 'type'> & Partial<Pick<MemoryNode, 'target' | 'deviceMajor' | 'deviceMinor'>>

const NEW: FileMetadata = { mode: 0o755, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 0n, atimeNs: 0n, xattrs: [] }
/** a tree in memory has no subvolumes */
const SUBVOLUME_FLAGS = SUBVOLUME_FLAG | READ_ONLY_SUBVOLUME_FLAG
const DEVICE_MAJOR_MAX = 0xfff
const DEVICE_MINOR_MAX = 0xfffff

/** Name bytes as a key of `children`. */
export function keyOf(name: Buffer): string {
  return name.toString('latin1')
}

/** A whole tree; `root` is its root directory. */
export class MemoryNodes {
  #lastInode = 1n
  /** a clock of its own: the same writes have the same times in every tree that starts at the same time */
  #ticks: bigint
  readonly root: MemoryNode

  constructor(startNs: bigint) {
    this.#ticks = startNs
    this.root = this.#make({ type: 'directory' })
  }

  /** What is at path, or undefined. */
  find(path: RelPath): MemoryNode | undefined {
    if (path.length === 0) return this.root
    return keyOf(path).split('/').reduce<MemoryNode | undefined>((node, name) => node?.children.get(name), this.root)
  }

  /** @throws {Refusal} with the errno that a file system would give */
  operate(operation: FileOperation): void {
    const { path } = operation
    if (path.length === 0 && operation.kind !== 'directory' && operation.kind !== 'metadata') throw new Refusal('EINVAL', 'the root itself')
    switch (operation.kind) {
      case 'directory':
        this.#settle(path.length === 0 ? this.root : this.#place(path, { type: 'directory' }), operation.metadata)
        return
      case 'file':
        this.#file(operation)
        return
      case 'symlink':
        this.#settle(this.#place(path, { type: 'symlink', target: Buffer.from(operation.target) }), operation.metadata)
        return
      case 'node':
        this.#node(operation)
        return
      case 'write':
        this.#existingFile(path, operation.data.length > 0).data.write(operation.offset, operation.data)
        return
      case 'punch':
        this.#existingFile(path).data.punch(operation.offset, operation.lengthBytes)
        return
      case 'resize':
        this.#existingFile(path).data.resize(operation.sizeBytes)
        return
      case 'metadata':
        this.#settle(this.#existing(path), operation.metadata)
        return
      case 'link':
        this.#link(path, operation.existing)
        return
      case 'rename':
        this.#rename(path, operation.to)
        return
      case 'set-aside':
        throw new Refusal('EOPNOTSUPP', 'there is no folder for what is set aside')
      case 'remove':
        if (this.find(path) !== undefined) this.#remove(path)
        return
      case 'unshare': {
        const node = this.find(path)
        if (node !== undefined && node.type !== 'directory' && node.linkCount > 1) this.#remove(path)
        return
      }
    }
  }

  #make(shape: Shape): MemoryNode {
    const none = { target: Buffer.alloc(0), deviceMajor: 0, deviceMinor: 0 }
    return { inode: this.#lastInode++, metadata: NEW, ctimeNs: ++this.#ticks, linkCount: shape.type === 'directory' ? 2 : 0, data: new SparseData(), children: new Map(), ...none, ...shape }
  }

  #touch(node: MemoryNode): void {
    node.ctimeNs = ++this.#ticks
    node.metadata = { ...node.metadata, mtimeNs: node.ctimeNs }
  }

  #settle(node: MemoryNode, metadata: FileMetadata): void {
    node.ctimeNs = ++this.#ticks
    const xattrs = metadata.xattrs.map(({ name, value }) => ({ name: Buffer.from(name), value: Buffer.from(value) }))
    // Linux has no mode for a link and keeps 0777; flags and projects are for files and directories
    const hasFlags = node.type === 'file' || node.type === 'directory'
    const isSubvolume = (metadata.flags & SUBVOLUME_FLAGS) !== 0
    if (isSubvolume && node.type !== 'directory') throw new Refusal('EINVAL', 'an owner or inode flags that no file has')
    node.metadata = { ...metadata, mode: node.type === 'symlink' ? 0o777 : metadata.mode, flags: hasFlags ? metadata.flags & ~SUBVOLUME_FLAGS : 0, projectId: hasFlags ? metadata.projectId : 0, xattrs }
    if (!hasFlags && (metadata.flags !== 0 || metadata.projectId !== 0) && node.type !== 'symlink') throw new Refusal('EOPNOTSUPP', 'inode flags', true)
    if (isSubvolume) throw new Refusal('EOPNOTSUPP', 'btrfs subvolume', true)
  }

  #existing(path: RelPath): MemoryNode {
    const node = this.find(path)
    if (node === undefined) throw new Refusal('ENOENT')
    return node
  }

  #existingFile(path: RelPath, changed = true): MemoryNode {
    const node = this.#existing(path)
    if (node.type !== 'file') throw new Refusal('ENOENT')
    if (changed) this.#touch(node)
    return node
  }

  #parent(path: RelPath): MemoryNode {
    const parent = this.#existing(parentOf(path))
    if (parent.type !== 'directory') throw new Refusal('ENOTDIR')
    return parent
  }

  /** The node of this shape at path: the one that is there, or a new one in its place. */
  #place(path: RelPath, shape: Shape): MemoryNode {
    const wanted = this.#make(shape)
    const parent = this.#parent(path)
    const found = parent.children.get(keyOf(nameOf(path)))
    if (found?.type === wanted.type && found.target.equals(wanted.target) && found.deviceMajor === wanted.deviceMajor && found.deviceMinor === wanted.deviceMinor) return found
    this.#put(path, wanted)
    return wanted
  }

  #put(path: RelPath, node: MemoryNode): void {
    const parent = this.#parent(path)
    if (this.find(path) !== undefined) this.#remove(path)
    parent.children.set(keyOf(nameOf(path)), node)
    node.ctimeNs = ++this.#ticks
    if (node.type !== 'directory') node.linkCount += 1
    this.#touch(parent)
  }

  #remove(path: RelPath): void {
    const parent = this.#parent(path)
    const node = this.#existing(path)
    parent.children.delete(keyOf(nameOf(path)))
    this.#touch(parent)
    this.#unlink(node)
  }

  #unlink(top: MemoryNode): void {
    const left = [top]
    for (let node = left.pop(); node !== undefined; node = left.pop()) {
      node.linkCount -= 1
      left.push(...node.children.values())
    }
  }

  #file(operation: FileOperation & { kind: 'file' }): void {
    if (operation.extents.some(extent => extent.offset + extent.data.length > operation.sizeBytes)) throw new Refusal('EINVAL', 'data behind the end of the file')
    const node = this.#place(operation.path, { type: 'file' })
    node.data.resize(0)
    for (const extent of operation.extents) node.data.write(extent.offset, extent.data)
    node.data.resize(operation.sizeBytes)
    this.#touch(node)
    const { mtimeNs, atimeNs } = node.metadata
    this.#settle(node, operation.complete ? operation.metadata : { ...operation.metadata, mtimeNs, atimeNs })
  }

  #node(operation: FileOperation & { kind: 'node' }): void {
    const isDevice = operation.nodeType === 'character' || operation.nodeType === 'block'
    const deviceMajor = isDevice ? operation.deviceMajor : 0
    const deviceMinor = isDevice ? operation.deviceMinor : 0
    if (deviceMajor > DEVICE_MAJOR_MAX || deviceMinor > DEVICE_MINOR_MAX) throw new Refusal('EINVAL', 'a device number that Linux does not have')
    this.#settle(this.#place(operation.path, { type: operation.nodeType, deviceMajor, deviceMinor }), operation.metadata)
  }

  #link(path: RelPath, existing: RelPath): void {
    if (existing.length === 0 || (isAtOrBelow(existing, path) && !existing.equals(path))) throw new Refusal('EINVAL', 'a link to what it replaces')
    this.#parent(existing)
    const node = this.#existing(existing)
    if (node.type === 'directory') throw new Refusal('EPERM', 'a link to a directory')
    if (this.#parent(path).children.get(keyOf(nameOf(path))) !== node) this.#put(path, node)
  }

  #rename(path: RelPath, to: RelPath): void {
    if (to.length === 0 || (!path.equals(to) && (isAtOrBelow(to, path) || isAtOrBelow(path, to)))) throw new Refusal('EINVAL', 'a move into itself or over its own directory')
    const from = this.#parent(path)
    const node = this.#existing(path)
    if (path.equals(to)) return
    if (this.#parent(to).children.get(keyOf(nameOf(to))) === node) {
      this.#remove(path)
      return
    }
    this.#put(to, node)
    from.children.delete(keyOf(nameOf(path)))
    if (node.type !== 'directory') node.linkCount -= 1
    this.#touch(from)
  }
}

/** Whether path is top or lies below it; everything does below the root. */
function isAtOrBelow(path: RelPath, top: RelPath): boolean {
  return top.length === 0 || (path.subarray(0, top.length).equals(top) && (path.length === top.length || path[top.length] === 0x2f))
}
