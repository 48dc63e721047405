import { z } from 'zod'

/**
 * Something a person should know about a file or a check. Data, not an exception: it is collected, counted and shown. Codes are stable
 * (`FILE_VANISHED`, `FILE_UNREADABLE`, `NETWORK_NOT_FOUND` ...); `advice` says what to do.
 */
export const Finding = z.object({
  code: z.string(),
  severity: z.enum(['ok', 'warning', 'error']),
  /** what it is about: a displayed path, a disk, a NIC */
  subject: z.string(),
  message: z.string(),
  advice: z.string(),
})
export type Finding = z.infer<typeof Finding>
