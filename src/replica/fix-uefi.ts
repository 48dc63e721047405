/**
 * C18: the firmware of a new VM knows no boot entries, and starts EFI/BOOT/BOOTX64.EFI. That is always filled from the distribution's own loader. The
 * variables of firmware are never touched: the appliance's are not the replica's. Where the distribution has its fallback program, that makes the
 * replica's own boot entry at the first start.
 */
import { espFolder, ESP_MOUNTS, inFolder, loaderIn, removableLoader } from './esp.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'

export const FILL_EFI_BOOT: FixUp = {
  id: 'C18', title: 'put the boot loader where new firmware looks for it', required: true,
  fix: async ({ files, workload, plan }: AssembledReplica) => {
    if (plan.firmware !== 'uefi') return []
    const esp = await espFolder(files, workload.os.id)
    // installed as on a removable medium: it lies where it is looked for
    if (esp === undefined && await removableLoader(files) !== undefined) return []
    if (esp === undefined) throw fixUpFailed(`no boot loader was found on an EFI system partition of the replica (looked in ${ESP_MOUNTS.map(m => `${m}/EFI`).join(', ')}): it must be mounted on the source and part of the job`)
    const loader = await loaderIn(files, esp.vendor)
    if (loader === undefined) throw fixUpFailed(`there is no boot loader in ${esp.vendor}`)
    const boot = await inFolder(files, esp.efi, 'BOOT') ?? `${esp.efi}/BOOT`
    await files.makeDirectory(boot)
    const copied: string[] = []
    const put = async (from: string, name: string): Promise<void> => {
      const to = await inFolder(files, boot, name) ?? `${boot}/${name}`
      if (await files.kind(to) === 'file' && await files.hash(to) === await files.hash(from)) return
      await files.copy(from, to)
      copied.push(`${to} is ${from}`)
    }
    await put(loader, 'BOOTX64.EFI')
    // the shim starts its GRUB, and without a key of its own the MOK manager, from the folder that it lies in; SUSE's by other names
    for (const name of ['grubx64.efi', 'grub.efi', 'mmx64.efi', 'MokManager.efi', 'grub.cfg']) {
      const from = await inFolder(files, esp.vendor, name)
      if (from !== undefined && from !== loader) await put(from, name)
    }
    const legacyMenu = await inFolder(files, esp.vendor, 'grub.conf')
    if (legacyMenu !== undefined && /\/grub\.efi$/i.test(loader)) await put(legacyMenu, 'BOOTX64.conf')
    const fallback = await inFolder(files, esp.vendor, 'fbx64.efi')
    if (fallback !== undefined && await inFolder(files, esp.vendor, 'BOOTX64.CSV') !== undefined) await put(fallback, 'fbx64.efi')
    if (await inFolder(files, boot, 'BOOTX64.EFI') === undefined) throw fixUpFailed(`${boot}/BOOTX64.EFI was not made`)
    return copied
  },
}
