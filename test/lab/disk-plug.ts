/** How a disk of the appliance's VM gets into the appliance of the lab. */
import type { LabDisk } from './vcsim.ts'

export interface DiskPlug extends AsyncDisposable {
  /** @param file with the disk's data */
  attach(disk: LabDisk, file: string): Promise<void>
  /** what of the disk is in use in the appliance: a host would tear it away all the same, so the lab refuses */
  usesOf(disk: LabDisk): Promise<readonly string[]>
  /** The file has all that was written, and is let go. */
  detach(disk: LabDisk): Promise<void>
}
