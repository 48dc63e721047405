/** UEFI for a guest: Debian's OVMF, with variables that know no boot entry, as those of a new VM do not. */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunDirectory } from '../run-directory.ts'

export type Firmware = 'bios' | 'uefi'

const OVMF = '/usr/share/OVMF'

/** Arguments of QEMU. @param name of the guest */
export async function firmwareArguments(run: RunDirectory, name: string, firmware: Firmware): Promise<string[]> {
  if (firmware === 'bios') return []
  const variables = join(run.path, `${name}.variables`)
  await copyFile(join(OVMF, 'OVMF_VARS_4M.fd'), variables)
  return ['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${join(OVMF, 'OVMF_CODE_4M.fd')}`, '-drive', `if=pflash,format=raw,unit=1,file=${variables}`]
}
