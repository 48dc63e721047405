/** What the soak and its receiver say to each other. */
import { z } from 'zod'

export const SOURCE_ID = 'soak'

export const ReceiverTask = z.object({ source: z.string(), target: z.string(), authority: z.string(), stateDirectory: z.string() })
export type ReceiverTask = z.infer<typeof ReceiverTask>

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
