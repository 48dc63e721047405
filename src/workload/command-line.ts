/** The kernel's command line as the boot loader's configuration has it: for a source whose kernel does not run here. */
import type { SourceRoot } from './source-root.ts'

/** Of the first entry of grub.cfg, or of the newest boot loader specification entry; '' when there is none. */
export async function commandLineOf(root: SourceRoot): Promise<string> {
  for (const path of ['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg']) {
    const line = grubCommandLine(await root.text(path) ?? '')
    if (line !== '') return line
  }
  const entries = (await root.names('/boot/loader/entries')).filter(n => n.endsWith('.conf') && !n.includes('rescue'))
  const newest = entries.at(-1)
  if (newest === undefined) return ''
  return /^options\s+(.*)$/m.exec(await root.text(`/boot/loader/entries/${newest}`) ?? '')?.[1]?.trim() ?? ''
}

/** What follows the kernel in the first `linux` command of a menu entry. */
export function grubCommandLine(config: string): string {
  return /^\s*linux(?:16|efi)?\s+\S+[ \t]*(.*)$/m.exec(config)?.[1]?.trim() ?? ''
}
