/** The flags of `job create` that say how the disks of the replica are laid out. */
import { Option, type Command } from 'commander'
import { z } from 'zod'
import type { JobOptions } from '../domain/job.ts'
import { LayoutOptions } from '../domain/layout-options.ts'
import { AppError } from '../errors/app-error.ts'
import { collect } from './command.ts'
import { readSecretFile, type Environment } from './settings.ts'
import type { Terminal } from './terminal.ts'

export const LayoutFlags = z.object({
  disks: z.string().optional(), size: z.array(z.string()).default([]), groupSize: z.array(z.string()).default([]), maxPv: z.array(z.string()).default([]), encryption: z.string().optional(), passphraseFile: z.string().optional(),
})
export type LayoutFlags = z.infer<typeof LayoutFlags>

export function addLayoutFlags(command: Command): Command {
  return command
    .addOption(new Option('--disks <how>', 'disks as on the source, or one for each volume and volume group (default: matching)').choices(['matching', 'per-volume']))
    .option('--size <VOLUME=SIZE>', 'size of a volume on the replica, like /srv=40G (repeatable; default: as on the source)', collect)
    .option('--group-size <GROUP=SIZE>', 'size of a volume group on the replica (repeatable; default: as on the source)', collect)
    .option('--max-pv <GROUP=SIZE>', 'with a disk per volume: largest physical volume of a group (repeatable; default: what the datastore takes)', collect)
    .addOption(new Option('--encryption <how>', 'encrypted volumes arrive in the clear, or encrypted anew (default: decrypt)').choices(['decrypt', 're-encrypt']))
    .option('--passphrase-file <file>', 'file whose first line is the passphrase of what is encrypted anew (default: LANDFALL_PASSPHRASE, or a prompt)')
}

/** The passphrase that the flags need: from a file, the environment, or a person who gives it twice. @throws {AppError} REQUEST_INVALID */
export async function passphraseOf({ encryption, passphraseFile }: Pick<LayoutFlags, 'encryption' | 'passphraseFile'>, environment: Environment, terminal: Pick<Terminal, 'askHidden'>, signal: AbortSignal): Promise<string | undefined> {
  if (encryption !== 're-encrypt') {
    if (passphraseFile !== undefined) throw new AppError('REQUEST_INVALID', '--passphrase-file needs --encryption re-encrypt')
    return undefined
  }
  if (passphraseFile !== undefined) return await readSecretFile(passphraseFile)
  const variable = environment['LANDFALL_PASSPHRASE']
  if (variable !== undefined && variable !== '') return variable
  const first = await terminal.askHidden('New passphrase of the encrypted volumes: ', signal)
  if (await terminal.askHidden('The same again: ', signal) !== first) throw new AppError('REQUEST_INVALID', 'the passphrases differ')
  return first
}

/** @throws {AppError} REQUEST_INVALID; ZodError for values that the API would refuse */
export function layoutOf(flags: LayoutFlags): Pick<JobOptions, 'layout'> {
  const { disks, size, groupSize, maxPv, encryption } = flags
  if ([disks, encryption].every(v => v === undefined) && [size, groupSize, maxPv].every(list => list.length === 0)) return {}
  const groups = new Map<string, { name: string, sizeBytes?: number, maxPhysicalVolumeBytes?: number }>()
  const group = (name: string): { name: string, sizeBytes?: number, maxPhysicalVolumeBytes?: number } => {
    const found = groups.get(name) ?? { name }
    groups.set(name, found)
    return found
  }
  for (const [name, bytes] of groupSize.map(text => named(text, '--group-size'))) group(name).sizeBytes = bytes
  for (const [name, bytes] of maxPv.map(text => named(text, '--max-pv'))) group(name).maxPhysicalVolumeBytes = bytes
  return {
    layout: LayoutOptions.parse({
      ...(disks === undefined ? {} : { disks }), ...(encryption === undefined ? {} : { encryption }),
      sizes: size.map(text => named(text, '--size')).map(([volume, sizeBytes]) => ({ volume, sizeBytes })), groups: [...groups.values()],
    }),
  }
}

const UNIT_BYTES: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/** "/srv=40G": what stands behind the last equals sign is the size. */
function named(text: string, flag: string): [string, number] {
  const [, name, number, unit] = /^(.+)=(\d{1,9})\s*([MGT])(?:iB|B)?$/i.exec(text) ?? []
  const bytes = UNIT_BYTES[unit?.toUpperCase() ?? '']
  if (name === undefined || bytes === undefined) throw new AppError('REQUEST_INVALID', `${flag} needs NAME=SIZE with a size like 512M, 40G or 2T, not "${text}"`)
  return [name, Number(number) * bytes]
}
