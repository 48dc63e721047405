/** What is fuzzed: each target spoils recorded bytes (fixtures/wire) and gives them to one decoder; it throws when that does anything but take or refuse them. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { isAppError } from '../../src/errors/app-error.ts'
import { native } from '../../src/posix/native.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { FRAME_TYPES, MAX_BODY_BYTES, type FrameType } from '../../src/wire/frame.ts'
import { asListingPage, listingEntries } from '../../src/wire/listing-codec.ts'
import { decodeMessage, encodeMessage } from '../../src/wire/message-codec.ts'
import { asOperationBatch, decodeOperations, encodeOperation } from '../../src/wire/operation-codec.ts'
import { parseRelPath, ROOT_PATH } from '../../src/domain/rel-path.ts'
import { describeCanary, makeCanary } from '../race/canary.ts'
import { mutate, pack, unpack } from './mutate.ts'

type Random = (below: number) => number

export interface Target extends AsyncDisposable {
  /** spoiled bytes for one run */
  make(random: Random): Buffer
  /** @throws {Error} when the decoder has misbehaved */
  run(input: Buffer): Promise<void>
  /** looks at what must not have changed @throws {Error} */
  check(): Promise<void>
}

export const TARGETS = ['frame', 'messages', 'operations', 'listings'] as const
export type TargetName = (typeof TARGETS)[number]

const vector = (name: string): Buffer => Buffer.from(readFileSync(new URL(`../../fixtures/wire/${name}.hex`, import.meta.url), 'utf8').replaceAll('\n', ''), 'hex')
const nothing = { check: async () => undefined, [Symbol.asyncDispose]: async () => undefined }

/** Whether the work took its input; only FRAME_INVALID is a refusal. */
function taken(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (isAppError(error, 'FRAME_INVALID')) return false
    throw error
  }
}

/** @param directory empty, on a file system of its own where there is one */
export async function openTarget(name: TargetName, directory: string): Promise<Target> {
  switch (name) {
    case 'frame': return frames()
    case 'messages': return messages()
    case 'operations': return await operations(directory)
    case 'listings': return listings()
  }
}

/** The addon's parser against a plain reading of the same bytes. */
function frames(): Target {
  const stream = Buffer.concat([vector('every-kind.frames'), inPartsAndPacked()])
  return {
    ...nothing,
    make: random => Buffer.concat([Buffer.from([random(256), random(4)]), mutate(stream, [stream], random)]),
    run: async input => {
      const bytes = input.subarray(2)
      for (const piece of [1 + input.readUInt16LE(0), 7, bytes.length + 1]) {
        const found = native.framesOf(bytes, piece)
        const wanted = plainFrames(bytes, found)
        const heads = found.kinds.map((kind, i) => [kind, found.volumes[i], found.lengths[i]])
        if (JSON.stringify([heads, found.bodies.toString('hex'), found.invalid !== '']) !== JSON.stringify([wanted.heads, wanted.bodies, wanted.invalid])) throw new Error(`in pieces of ${String(piece)}: ${JSON.stringify(heads)} ${found.invalid} instead of ${JSON.stringify(wanted.heads)}`)
        if (!wanted.invalid && found.atBoundary !== wanted.atBoundary) throw new Error('wrong about where it may end')
      }
    },
  }
}

const header = (length: number, kind: number, flags: number): Buffer => {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt8(kind, 8)
  bytes.writeUInt8(flags, 9)
  return bytes
}

/** Frames as the addon alone makes them: a batch in parts with something urgent in between, the same packed, and the same as both. */
function inPartsAndPacked(): Buffer {
  const plain = Buffer.concat([Buffer.alloc(8, 1), Buffer.alloc(2000, 'again ')])
  const packed = Buffer.concat([Buffer.from([plain.length & 255, plain.length >> 8, 0, 0, 8]), plain.subarray(0, 8), zstdCompressSync(plain.subarray(8))])
  const parted = (body: Buffer, flags: number): Buffer => {
    const half = body.length >> 1
    return Buffer.concat([header(body.length, 2, flags), header(half, PART, 0), body.subarray(0, half), header(0, FRAME_TYPES.alive, 0), header(body.length - half, PART, 0), body.subarray(half)])
  }
  return Buffer.concat([parted(plain, IN_PARTS), header(packed.length, 2, PACKED), packed, parted(packed, IN_PARTS | PACKED)])
}

const [IN_PARTS, PACKED, PART, PART_MAX] = [1, 2, 19, 65536]

interface PlainFrames { heads: number[][], bodies: string, invalid: boolean, atBoundary: boolean }

/** Of a packed body only the addon knows whether it is whole; how much it may unpack to is looked at here. */
function plainFrames(bytes: Buffer, { kinds, lengths, bodies: unpacked }: { kinds: readonly number[], lengths: readonly number[], bodies: Buffer }): PlainFrames {
  const types = new Map<number, FrameType>(Object.entries(FRAME_TYPES).map(([type, code]) => [code, type as FrameType]))
  const found: PlainFrames = { heads: [], bodies: '', invalid: false, atBoundary: false }
  const invalid = (): PlainFrames => ({ ...found, invalid: true })
  let at = 0
  let parted: { kind: number, volume: number, flags: number, length: number, body: Buffer } | undefined
  const complete = (kind: number, volume: number, flags: number, body: Buffer): boolean => {
    let plain = body
    if ((flags & PACKED) !== 0) {
      const index = found.heads.length
      const before = lengths.slice(0, index).reduce((sum, length) => sum + length, 0)
      const length = body.readUInt32LE(0)
      const type = types.get(kind)
      if (kinds[index] !== kind || type === undefined || lengths[index] !== length || length > MAX_BODY_BYTES[type]) return false
      plain = unpacked.subarray(before, before + length)
    }
    found.heads.push([kind, volume, plain.length])
    found.bodies += plain.toString('hex')
    return true
  }
  while (at + 12 <= bytes.length) {
    const [length, kind, flags, volume] = [bytes.readUInt32LE(at), bytes.readUInt8(at + 8), bytes.readUInt8(at + 9), bytes.readUInt16LE(at + 10)]
    const type = types.get(kind)
    const limit = kind === PART ? PART_MAX : type === undefined ? -1 : MAX_BODY_BYTES[type]
    const isData = kind >= 2 && kind <= 8
    if (length > limit || flags > 3 || (flags > 0 && !isData) || (length === 0 && (kind === PART || (flags & IN_PARTS) !== 0))) return invalid()
    if (kind === PART ? length > (parted === undefined ? 0 : parted.length - parted.body.length) : parted !== undefined && (isData || kind === FRAME_TYPES.bye)) return invalid()
    if ((flags & PACKED) !== 0 && ((kind !== 2 && kind !== 4) || length <= 5)) return invalid()
    if ((flags & IN_PARTS) !== 0) {
      parted = { kind, volume, flags, length, body: Buffer.alloc(0) }
      at += 12
      continue
    }
    if (at + 12 + length > bytes.length) break
    const body = bytes.subarray(at + 12, at + 12 + length)
    at += 12 + length
    if (kind !== PART) {
      if (!complete(kind, volume, flags, body)) return invalid()
    } else if (parted !== undefined) {
      parted.body = Buffer.concat([parted.body, body])
      if (parted.body.length < parted.length) continue
      if (!complete(parted.kind, parted.volume, parted.flags, parted.body)) return invalid()
      parted = undefined
    }
  }
  return { ...found, atBoundary: at === bytes.length && parted === undefined }
}

function messages(): Target {
  const stream = vector('every-kind.frames')
  const types = Object.keys(FRAME_TYPES) as FrameType[]
  const bodies: { type: FrameType, body: Buffer }[] = []
  for (let at = 0; at < stream.length;) {
    const length = stream.readUInt32LE(at)
    const type = types.find(t => FRAME_TYPES[t] === stream[at + 8])
    if (type !== undefined) bodies.push({ type, body: stream.subarray(at + 12, at + 12 + length) })
    at += 12 + length
  }
  const others = bodies.map(b => b.body)
  return {
    ...nothing,
    make: random => {
      const { type, body } = bodies[random(bodies.length)] ?? { type: 'alive', body: Buffer.alloc(0) }
      return Buffer.concat([Buffer.from([random(20) === 0 ? random(types.length) : types.indexOf(type)]), mutate(body, others, random)])
    },
    run: async input => {
      const type = types[(input[0] ?? 0) % types.length] ?? 'control'
      const body = input.subarray(1)
      if (body.length > MAX_BODY_BYTES[type]) return
      taken(() => {
        const message = decodeMessage({ type, volume: 3, body })
        const { head, body: rest } = encodeMessage(message)
        const again = decodeMessage({ type, volume: 3, body: Buffer.concat([head, rest]).subarray(12) })
        if (JSON.stringify(again) !== JSON.stringify(message)) throw new Error('it means something else when it is sent on')
        if (message.type === 'listing') for (const entry of listingEntries(message.page)) entry.core.xattrs.at(0)
        if (message.type === 'operations') Array.from(decodeOperations(message.batch))
      })
    },
  }
}

/** Both decoders say the same of a batch, and applying it to a real file system leaves everything beside the root alone. */
async function operations(directory: string): Promise<Target> {
  const good = [...unpack(vector('every-kind.batch')), ...unpack(vector('read-back.batch'))]
  const [root, outside] = [join(directory, 'root'), join(directory, 'outside')]
  mkdirSync(root)
  makeCanary(outside)
  // so that what is spoiled finds a way that leads out
  for (const [name, target] of [['out', '../outside'], ['abs', outside]] as const) good.push(encodeOperation({ kind: 'symlink', path: parseRelPath(Buffer.from(name)), target: Buffer.from(target), metadata: { mode: 0o777, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 0n, atimeNs: 0n, xattrs: [] } }).subarray(4))
  for (const path of ['out/a', 'abs/a', 'out/e/new', 'd/e']) good.push(encodeOperation({ kind: 'write', path: parseRelPath(Buffer.from(path)), offset: 0, data: Buffer.from('evil') }).subarray(4), encodeOperation({ kind: 'link', path: parseRelPath(Buffer.from('s')), existing: parseRelPath(Buffer.from(path)) }).subarray(4))
  const before = JSON.stringify(describeCanary(outside))
  const target = await openPosixTargetTree(root, new AbortController().signal)
  const signal = new AbortController().signal
  const check = async (): Promise<void> => {
    await Promise.resolve()
    if (JSON.stringify(describeCanary(outside)) !== before) throw new Error('something outside of the root was changed')
  }
  const empty = async (): Promise<void> => {
    for await (const page of target.list(ROOT_PATH, signal)) {
      for (const { name } of listingEntries(page)) await target.apply(encodeOperation({ kind: 'remove', path: parseRelPath(name) }), signal)
    }
  }
  return {
    check,
    make: random => {
      const some = Array.from({ length: 1 + random(6) }, () => good[random(good.length)] ?? Buffer.alloc(0))
      return random(3) === 0 ? mutate(pack(some), good, random) : pack(some.map(one => (random(2) === 0 ? mutate(one, good, random) : one)))
    },
    run: async input => {
      const here = taken(() => [...decodeOperations(asOperationBatch(input))].length)
      if (input.length > 4 * 1024 * 1024) return
      let there = true
      try {
        await target.apply(input as ReturnType<typeof asOperationBatch>, signal)
      } catch (error) {
        if (!isAppError(error)) throw error
        if (error.code === 'FRAME_INVALID') there = false
        else if (error.code === 'REPLICA_FULL') await empty()
        else throw error
      }
      if (here !== there) throw new Error(`TypeScript ${here ? 'takes' : 'refuses'} what the addon ${there ? 'takes' : 'refuses'}`)
    },
    [Symbol.asyncDispose]: async () => {
      await empty()
      await target.apply(encodeOperation({ kind: 'metadata', path: ROOT_PATH, metadata: { mode: 0o755, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 0n, atimeNs: 0n, xattrs: [] } }), signal)
      await target[Symbol.asyncDispose]()
    },
  }
}

function listings(): Target {
  const good = unpack(vector('every-kind.listing'))
  return {
    ...nothing,
    make: random => {
      const some = good.slice(random(good.length))
      return random(3) === 0 ? mutate(pack(some), good, random) : pack(some.map(one => (random(3) === 0 ? mutate(one, good, random) : one)))
    },
    run: async input => {
      taken(() => {
        for (const entry of listingEntries(asListingPage(input))) {
          for (const name of ['name', 'type', 'sizeBytes', 'inode', 'linkCount', 'allocatedBytes', 'deviceMajor', 'symlinkTarget', 'mode', 'uid', 'mtimeNs', 'core', 'record'] as const) taken(() => entry[name])
        }
      })
    },
  }
}
