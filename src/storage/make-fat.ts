/**
 * Makes a FAT (the EFI system partition) as it is on the source: width of its entries, serial number, label, sectors and clusters. It carries a label of
 * ours until all of it is done.
 */
import { labelFat } from '../command/fatlabel.ts'
import { makeFat, type FatOptions } from '../command/mkfs.ts'
import type { Runner } from '../command/runner.ts'
import type { FileSystem } from '../domain/volume.ts'

export interface FatRecipe { options: FatOptions, label: string }

export const UNFINISHED_FAT_LABEL = 'LANDFALLNEW'
const BITS = new Set(['12', '16', '32'])
/** What means the same in every code page. */
const PLAIN_LABEL = /^(?:[!#-)\-0-9@A-Z^_`a-z{}~](?:[ !#-)\-0-9@A-Z^_`a-z{}~]{0,9}[!#-)\-0-9@A-Z^_`a-z{}~])?)?$/

/** Why it cannot be made, or undefined when it can. Pure. */
export function whyFatNotMade({ uuid, label, properties }: FileSystem): string | undefined {
  if (!/^[0-9A-F]{4}-[0-9A-F]{4}$/i.test(uuid)) return 'its serial number could not be read'
  if (!BITS.has(properties['fatBits'] ?? '')) return 'it is not known how wide the entries of its allocation table are'
  return PLAIN_LABEL.test(label) ? undefined : `its label ${JSON.stringify(label)} cannot be re-created`
}

/** Pure. */
export function fatRecipe({ uuid, label, properties }: FileSystem): FatRecipe {
  const number = (key: string): number | undefined => { const value = Number(properties[key]); return value > 0 ? value : undefined }
  const given = <K extends keyof FatOptions>(key: K, value: FatOptions[K] | undefined): Partial<FatOptions> => (value === undefined ? {} : { [key]: value })
  const bits = number('fatBits')
  return {
    label,
    options: {
      serial: uuid.replace('-', ''), label: UNFINISHED_FAT_LABEL, sectorSizeBytes: number('sectsz') ?? 512, ...given('bits', bits), ...given('sectorsPerCluster', number('clusterSectors')),
      ...given('reservedSectors', number('reservedSectors')), ...given('tables', number('tables')), ...(bits === 32 ? {} : given('rootEntries', number('rootEntries'))),
    },
  }
}

export async function makeFatVolume(runner: Runner, device: string, recipe: FatRecipe, signal: AbortSignal): Promise<void> {
  await makeFat(runner, device, recipe.options, signal)
  await labelFat(runner, device, recipe.label, signal)
}
