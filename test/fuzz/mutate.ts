/** Bytes that were good, spoiled: what a peer might send that knows the protocol and means harm. */
const NUMBERS = [0n, 1n, 2n, 3n, 4n, 0x7fn, 0x80n, 0xffn, 0x100n, 0xfffn, 0x1000n, 0x7fffn, 0xffffn, 0x1_0000n, 0xf_ffffn, 0x10_0000n, 0x40_0000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 1n << 52n, (1n << 53n) - 1n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n]
const WORDS = ['..', '.', '/', '//', '../', '/etc/passwd', '\0', 'a/../b', '../../outside/a', 'x'.repeat(300), 'trusted.landfall.volume', 'system.posix_acl_access', 'security.capability', '"', '{', '}', '[', ']', ',', ':', '-1', '1e999', 'null', '__proto__', '\\u0000', '\x1b[2J']

type Random = (below: number) => number

const pick = <T>(random: Random, from: readonly T[]): T => {
  const one = from[random(from.length)]
  if (one === undefined) throw new RangeError('nothing to pick from')
  return one
}

function once(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  const at = random(bytes.length + 1)
  const length = Math.min(bytes.length - at, 1 + random(random(4) === 0 ? 200 : 12))
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (random(9)) {
    case 0: { // a bit
      if (bytes.length === 0) return bytes
      const copy = Buffer.from(bytes)
      const place = Math.min(at, bytes.length - 1)
      copy[place] = (copy[place] ?? 0) ^ (1 << random(8))
      return copy
    }
    case 1: { // a number
      const size = pick(random, [1, 2, 4, 8])
      if (at + size > bytes.length) return bytes
      const copy = Buffer.from(bytes)
      const number = Buffer.alloc(8)
      number.writeBigUInt64LE(pick(random, NUMBERS))
      number.copy(copy, at, 0, size)
      return copy
    }
    case 2: return head // cut
    case 3: return Buffer.concat([head, tail.subarray(length)]) // a piece less
    case 4: return Buffer.concat([head, tail.subarray(0, length), tail]) // a piece twice
    case 5: return Buffer.concat([head, Buffer.from(pick(random, WORDS), 'latin1'), tail.subarray(random(2) * length)]) // a word
    case 6: { // a piece of something else
      const other = pick(random, others)
      const from = random(other.length + 1)
      return Buffer.concat([head, other.subarray(from, from + 1 + random(64)), tail.subarray(random(2) * length)])
    }
    case 7: return Buffer.concat([head, Buffer.alloc(1 + random(64), random(256)), tail]) // a run
    default: { // a byte
      if (bytes.length === 0) return bytes
      const copy = Buffer.from(bytes)
      copy[Math.min(at, bytes.length - 1)] = random(256)
      return copy
    }
  }
}

/** One to several changes; seldom none. */
export function mutate(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  let spoiled = bytes
  for (let left = random(8) === 0 ? 0 : 1 + random(random(4) === 0 ? 12 : 3); left > 0; left--) spoiled = once(spoiled, others, random)
  return spoiled
}

/** Length-prefixed things (u32, little-endian) of a run of them, without their lengths. */
export function unpack(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt32LE(at)
    found.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return found
}

/** The other way: with right lengths, so that what was spoiled is reached. */
export function pack(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap(part => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(part.length)
    return [length, part]
  }))
}
