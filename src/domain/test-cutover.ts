/**
 * A test cutover: a VM from throw-away disks on a network of its own, proved as a cutover is. The source is not asked for anything. It stays until it is undone.
 */
import { z } from 'zod'
import { BootProof, FixUpReport, Screenshot } from './replica.ts'
import { VirtualDisk } from './target.ts'

/**
 * What the VM starts from, while replication goes on. copies: whole copies of the replica's disks; children: made at once and next to no room, they read from those disks, to
 * which nothing can be written while there is one: replication goes on into further children, its stand-ins, which are thrown away at the undo, and a mirror of what differs follows.
 */
export const TestDisks = z.enum(['copies', 'children'])
export type TestDisks = z.infer<typeof TestDisks>

/** How long a test may be told to stay, in milliseconds: a minute to two weeks. */
export const KeepMs = z.coerce.number().int().min(60_000).max(14 * 86_400_000)

export const TestCutover = z.object({
  /**
   * wanted: it waits for its turn; making: changes wait at the source while its disks are made; booting: the proof is waited for; proved; failed: see
   * `message`, what is left of it waits to be undone; undoing; undone: nothing of it is left
   */
  state: z.enum(['wanted', 'making', 'booting', 'proved', 'failed', 'undoing', 'undone']),
  network: z.string(),
  vmName: z.string(),
  kind: TestDisks.default('copies'),
  /** it is undone by itself so long after it has proved its boot, or has failed; milliseconds */
  keepMs: z.number().int().min(1).optional(),
  /** copies or children that exist, or may exist */
  disks: z.array(VirtualDisk),
  /** further children of the replica's disks, into which replication goes on while the test's read from those; exist, or may exist */
  standIns: z.array(VirtualDisk).default([]),
  /** up to when what is on the replica's own disks is known to be what the source had, milliseconds by the appliance's clock; with stand-ins */
  settledBeforeMs: z.number().optional(),
  /** a VM was, or was about to be, made */
  hasVm: z.boolean(),
  vmId: z.string().optional(),
  startedAtUtc: z.string(),
  /** since when the VM runs */
  poweredOnAtUtc: z.string().optional(),
  endedAtUtc: z.string().optional(),
  message: z.string().optional(),
  proof: BootProof.optional(),
  /** of the VM when it had reported, or the time for that was up */
  screenshot: Screenshot.optional(),
  /** what makes the copies boot, as it was done there */
  fixUps: FixUpReport.optional(),
})
export type TestCutover = z.infer<typeof TestCutover>

/** Whether there is something to undo, or soon will be. Pure. */
export function isTested(test: TestCutover | undefined): test is TestCutover {
  return test !== undefined && test.state !== 'undone' && !(test.state === 'failed' && test.disks.length === 0 && test.standIns.length === 0 && !test.hasVm)
}

/** Whether its disks read from those of the replica, to which nothing may be written then: stand-ins are. Pure. */
export function needsReplicaAsItIs(test: TestCutover | undefined): test is TestCutover {
  return isTested(test) && test.kind === 'children' && test.state !== 'wanted'
}
