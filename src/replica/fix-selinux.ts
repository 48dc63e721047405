/**
 * C22: labels were copied with the files, and a file that is edited keeps its own. New files have none, and a service that is confined could not read
 * them: where SELinux is on, the replica relabels itself at its first boot. Not done file by file, because the replica's own tools may not set labels here.
 */
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { settingOf } from './shell-settings.ts'

const SETTINGS = ['/etc/selinux/config', '/etc/sysconfig/selinux'] as const

export const RELABEL: FixUp = {
  id: 'C22', title: 'let SELinux label what is new', required: true,
  fix: async ({ files }: AssembledReplica) => {
    for (const path of SETTINGS) {
      const text = await files.text(path)
      const mode = text === undefined ? undefined : settingOf(text, 'SELINUX')
      if (mode === undefined) continue
      if (mode !== 'enforcing' && mode !== 'permissive') return []
      await files.write('/.autorelabel', '')
      return [`SELinux is ${mode}: the replica labels its files at the first boot and then starts once more, which takes some minutes for each million of files`]
    }
    return []
  },
}
