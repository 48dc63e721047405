/** Where a Linux distribution says which services start, on the replica. */
import type { ReplicaFiles } from './replica-files.ts'

/** Units of systemd; what is in the first is the server's own, and wins. */
export const UNIT_FOLDERS = ['/etc/systemd/system', '/lib/systemd/system', '/usr/lib/systemd/system'] as const
/** Links of a run level: these with its number and ".d". */
const RUN_LEVEL_FOLDERS = ['/etc/rc', '/etc/rc.d/rc', '/etc/init.d/rc'] as const
const LEVELS = [2, 3, 4, 5] as const

/** Whether systemd starts the services. */
export async function hasSystemd(files: ReplicaFiles): Promise<boolean> {
  return await files.kind('/lib/systemd/systemd') === 'file' || await files.kind('/usr/lib/systemd/systemd') === 'file'
}

/** The folders with the links of the run levels in which a server serves, each by its own name only. */
export async function runLevels(files: ReplicaFiles): Promise<readonly string[]> {
  const found: string[] = []
  for (const folder of RUN_LEVEL_FOLDERS) {
    for (const level of LEVELS) if (await files.kind(`${folder}${String(level)}.d`, 'stay') === 'directory') found.push(`${folder}${String(level)}.d`)
  }
  return found
}

/** Links of an init script in a run level: "S" starts, "K" stops it. */
export async function linksOf(files: ReplicaFiles, folder: string, script: string, kind: 'S' | 'K'): Promise<readonly string[]> {
  return (await files.names(folder)).filter(name => name.startsWith(kind) && /^\d\d/.test(name.slice(1)) && name.slice(3) === script).map(name => `${folder}/${name}`)
}

/** @returns whether the script was started in any run level */
export async function removeStartLinks(files: ReplicaFiles, script: string): Promise<boolean> {
  let found = false
  for (const folder of await runLevels(files)) for (const link of await linksOf(files, folder, script, 'S')) found = await files.remove(link) || found
  return found
}
