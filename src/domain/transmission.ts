/** How a job's data is sent: how fast, and packed or not. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

/** Less would keep no connection alive. */
export const MIN_BANDWIDTH_BYTES_PER_S = 3500
/** More than any line; so that a sum of them is still a number of bytes. */
export const MAX_BANDWIDTH_BYTES_PER_S = 1_000_000_000_000

export const Bandwidth = z.number().int().min(MIN_BANDWIDTH_BYTES_PER_S).max(MAX_BANDWIDTH_BYTES_PER_S)
export type Bandwidth = z.infer<typeof Bandwidth>

export const Compression = z.enum(['off', 'minimum', 'medium', 'maximum'])
export type Compression = z.infer<typeof Compression>

const Weight = z.number().int().min(1).max(1000)
/** How mirror and replication share the line while both have something to send, in bytes. */
export const Ratio = z.strictObject({ mirror: Weight, replication: Weight })
export type Ratio = z.infer<typeof Ratio>
export const EVEN: Ratio = { mirror: 1, replication: 1 }

export const Transmission = z.strictObject({
  /** on the wire, TLS included, in each direction; left out: no limit */
  bandwidthBytesPerS: Bandwidth.optional(),
  compression: Compression,
  /** names that vanish on the source stay on the replica */
  ignoreDeletes: z.boolean().optional(),
  /** left out: both get the same */
  ratio: Ratio.optional(),
})
export type Transmission = z.infer<typeof Transmission>

/** "3500" or "unlimited", which is undefined. `what` names it in the message. @throws {AppError} REQUEST_INVALID */
export function parseBandwidth(text: string, what: string): Bandwidth | undefined {
  if (text === 'unlimited') return undefined
  const bandwidth = Bandwidth.safeParse(/^\d{1,13}$/.test(text) ? Number(text) : NaN)
  if (bandwidth.success) return bandwidth.data
  throw new AppError('REQUEST_INVALID', `${what} needs bytes per second from ${String(MIN_BANDWIDTH_BYTES_PER_S)} up to ${String(MAX_BANDWIDTH_BYTES_PER_S)}, or "unlimited", not "${text}"`)
}

/** "3:1", mirror to replication. @throws {AppError} REQUEST_INVALID */
export function parseRatio(text: string, what: string): Ratio {
  const [, mirror, replication] = /^(\d{1,4}):(\d{1,4})$/.exec(text) ?? []
  const ratio = Ratio.safeParse({ mirror: Number(mirror), replication: Number(replication) })
  if (ratio.success) return ratio.data
  throw new AppError('REQUEST_INVALID', `${what} needs the shares of mirror and replication like 3:1, each from 1 to 1000, not "${text}"`)
}
