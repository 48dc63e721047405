/** Identifiers that follow from a job and a name, so that a plan made again has the same. Pure. */
import { createHash } from 'node:crypto'

/** A UUID of version 4's form. */
export function derivedUuid(...of: readonly string[]): string {
  const bytes = createHash('sha256').update(JSON.stringify(of)).digest().subarray(0, 16)
  bytes[6] = (bytes[6] ?? 0) & 0x0f | 0x40
  bytes[8] = (bytes[8] ?? 0) & 0x3f | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

const LVM_CHARACTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
const LVM_GROUPS = [6, 4, 4, 4, 4, 4, 6]

/** An identifier as LVM has them: 32 letters and digits with dashes between. */
export function derivedLvmId(...of: readonly string[]): string {
  const bytes = createHash('sha256').update(JSON.stringify(of)).digest()
  const text = [...bytes].map(byte => LVM_CHARACTERS.charAt(byte % LVM_CHARACTERS.length)).join('')
  let at = 0
  return LVM_GROUPS.map(length => { at += length; return text.slice(at - length, at) }).join('-')
}
