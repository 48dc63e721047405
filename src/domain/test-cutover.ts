/**
 * A test cutover: a VM from throw-away copies of the replica's disks on a network of its own, proved as a cutover is, while replication goes on. The source
 * is not asked for anything. It stays until it is undone.
 */
import { z } from 'zod'
import { BootProof, FixUpReport, Screenshot } from './replica.ts'
import { VirtualDisk } from './target.ts'

export const TestCutover = z.object({
  /**
   * wanted: it waits for its turn; making: changes wait at the source while the disks are copied; booting: replication goes on, the proof is waited for; proved; failed: see
   * `message`, what is left of it waits to be undone; undoing; undone: nothing of it is left
   */
  state: z.enum(['wanted', 'making', 'booting', 'proved', 'failed', 'undoing', 'undone']),
  network: z.string(),
  vmName: z.string(),
  /** copies that exist, or may exist */
  disks: z.array(VirtualDisk),
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
export function isTested(test: TestCutover | undefined): boolean {
  return test !== undefined && test.state !== 'undone' && !(test.state === 'failed' && test.disks.length === 0 && !test.hasVm)
}
