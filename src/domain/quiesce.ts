/** What is done on the source at a cutover before its file systems are frozen. */
import { z } from 'zod'

/** A program in the source's directory of scripts, by its name there; it is run with these arguments, without a shell. */
export const PreScript = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'the name of a file in the source\'s directory of scripts: letters, digits, dot, dash, underscore, starting with a letter or digit'),
  arguments: z.array(z.string().max(4096).refine(text => !text.includes('\0'), 'an argument holds no NUL')).max(64).default([]),
  timeoutMs: z.number().int().min(1000).max(3600_000).default(300_000),
})
export type PreScript = z.infer<typeof PreScript>

/** A unit of systemd; without a suffix it is a service. Never the agent's own. */
export const ServiceUnit = z.string().max(255)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*$/, 'the name of a unit: letters, digits and : _ . @ \\ -, starting with a letter, digit or underscore')
  .refine(unit => !/^landfall-agent(?:@.*)?(?:\.service)?$/.test(unit), 'the agent itself cannot be stopped for a cutover')

export const Quiesce = z.strictObject({
  /** run in this order before anything is stopped */
  scripts: z.array(PreScript).max(16).default([]),
  /** stopped in this order, and started again in the opposite one when the cutover is undone */
  services: z.array(ServiceUnit).max(64).default([]).refine(units => new Set(units).size === units.length, 'a service is named twice'),
})
export type Quiesce = z.infer<typeof Quiesce>
