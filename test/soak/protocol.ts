/** What the soak and its receiver say to each other. */
import { z } from 'zod'

export const SOURCE_ID = 'soak'

export const ReceiverTask = z.object({ source: z.string(), target: z.string(), authority: z.string(), stateDirectory: z.string() })
export type ReceiverTask = z.infer<typeof ReceiverTask>

export const SoakOrder = z.discriminatedUnion('order', [
  /** nothing is sent until `resume`; changes wait at the source */
  z.object({ order: z.literal('pause') }),
  /** as `pause`, and what was captured is forgotten */
  z.object({ order: z.literal('stop') }),
  z.object({ order: z.literal('resume') }),
  /** left out: unlimited */
  z.object({ order: z.literal('limit'), bandwidthBytesPerS: z.number().optional() }),
  /** the last one */
  z.object({ order: z.literal('drain') }),
])
export type SoakOrder = z.infer<typeof SoakOrder>

export const SoakEvent = z.discriminatedUnion('event', [
  z.object({ event: z.literal('listening'), port: z.number() }),
  z.object({ event: z.literal('mirroring'), compare: z.string() }),
  z.object({ event: z.literal('replicating') }),
  /** the work ended early and is begun again */
  z.object({ event: z.literal('interrupted'), code: z.string(), message: z.string() }),
  z.object({ event: z.literal('finding'), text: z.string() }),
  z.object({ event: z.literal('drained'), changes: z.number(), drainMs: z.number(), latencyMsP99: z.number() }),
  /** the receiver has ended */
  z.object({ event: z.literal('failed'), code: z.string(), message: z.string() }),
])
export type SoakEvent = z.infer<typeof SoakEvent>
