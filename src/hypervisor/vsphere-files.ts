import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { formatDatastorePath, type DatastorePath } from './datastore-path.ts'
import { download } from './vsphere-download.ts'
import { faultType } from './vsphere-faults.ts'
import type { Site, SiteDatastore } from './vsphere-inventory.ts'
import { readAnswer, vim, type VimObject } from './vsphere-object.ts'
import type { VsphereSession } from './vsphere-session.ts'
import { runTask } from './vsphere-task.ts'

const MAX_DESCRIPTOR = 64 << 10 // bytes; a file that is longer is no descriptor
const SECTOR = 512

const SearchResult = z.object({ file: z.array(z.object({ path: z.string(), capacityKb: z.number().optional() })).optional() })

/** Makes the folder of the path with all above it; fine when it is there. */
export async function makeFolder(session: VsphereSession, site: Site, { datastore, folder }: DatastorePath, signal: AbortSignal): Promise<void> {
  if (folder === '') return
  const name = formatDatastorePath({ datastore, folder, file: '' })
  await session.call('MakeDirectory', session.content.fileManager, { name, datacenter: site.datacenter, createParentDirectories: true }, { signal, doing: `make the folder ${name}` })
    .catch((error: unknown) => { if (faultType(error) !== 'FileAlreadyExists') throw error })
}

/** The size of the disk at the path in bytes, or undefined when there is no such file. */
export async function diskSize(session: VsphereSession, site: Site, store: SiteDatastore, path: DatastorePath, signal: AbortSignal): Promise<number | undefined> {
  const details = vim('VmDiskFileQueryFlags', { diskType: false, capacityKb: true, hardwareVersion: false })
  const files = await search(session, store, path, signal, { query: [vim('VmDiskFileQuery', { details })], matchPattern: [path.file] })
  const found = files.find(f => f.path === path.file)
  if (found === undefined) return undefined
  return found.capacityKb !== undefined && found.capacityKb > 0 ? found.capacityKb * 1024 : await sizeInDescriptor(session, site, path, signal)
}

/**
 * Runs `deletion`, which deletes the file of the path and others that are `ours`, and then deletes its folder when nothing was in it but ours
 * and nothing is left. Deleting a folder takes everything in it along, so one that does not list the file itself beforehand is not believed.
 */
export async function deleteWithFolder(
  session: VsphereSession, site: Site, store: SiteDatastore, path: DatastorePath, ours: (name: string) => boolean, signal: AbortSignal, deletion: () => Promise<void>,
): Promise<void> {
  const list = async (): Promise<string[]> => (await search(session, store, path, signal, { matchPattern: ['*'] })).map(f => f.path)
  const before = path.folder === '' ? [] : await list()
  await deletion()
  if (!before.includes(path.file) || !before.every(ours) || (await list()).length > 0) return
  await deleteFile(session, site, formatDatastorePath({ ...path, file: '' }), signal)
}

/** Deletes a file or an empty folder; fine when it is gone. */
export async function deleteFile(session: VsphereSession, site: Site, name: string, signal: AbortSignal): Promise<void> {
  await runTask(session, 'DeleteDatastoreFile_Task', session.content.fileManager, { name, datacenter: site.datacenter }, { signal, doing: `delete ${name}` })
    .catch((error: unknown) => { if (faultType(error) !== 'FileNotFound') throw error })
}

/** The files in the folder of the path; none when the folder is not there. */
async function search(
  session: VsphereSession, store: SiteDatastore, path: DatastorePath, signal: AbortSignal, spec: { query?: readonly VimObject[], matchPattern: readonly string[] },
): Promise<readonly { path: string, capacityKb?: number | undefined }[]> {
  const datastorePath = formatDatastorePath({ ...path, file: '' })
  if (store.browser === undefined) throw new AppError('VSPHERE_PERMISSION', `cannot list ${datastorePath}: the account may not browse the datastore (Datastore.Browse)`)
  const details = vim('FileQueryFlags', { fileType: true, fileSize: true, modification: false, fileOwner: false })
  try {
    const result = await runTask(session, 'SearchDatastore_Task', store.browser,
      { datastorePath, searchSpec: vim('HostDatastoreBrowserSearchSpec', { ...spec, details }) }, { signal, doing: `list ${datastorePath}` })
    return readAnswer(SearchResult, result, `list ${datastorePath}`).file ?? []
  } catch (error) {
    if (faultType(error) === 'FileNotFound') return []
    throw error
  }
}

/** Some servers list disks without their size; every one has it in the descriptor file. */
async function sizeInDescriptor(session: VsphereSession, site: Site, path: DatastorePath, signal: AbortSignal): Promise<number> {
  const doing = `read the descriptor of ${formatDatastorePath(path)}`
  const segments = [...path.folder === '' ? [] : path.folder.split('/'), path.file].map(encodeURIComponent)
  const descriptor = await download(session, `/folder/${segments.join('/')}?dcPath=${encodeURIComponent(site.datacenterPath)}&dsName=${encodeURIComponent(path.datastore)}`, { signal, doing, maxBytes: MAX_DESCRIPTOR })
  if (descriptor === undefined) throw new AppError('VSPHERE_FAULT', `cannot ${doing}: the server has no such file`)
  return sizeOfDescriptor(descriptor.toString('utf8'), doing)
}

/** The sum of the extents ("RW 2048 VMFS …") in a descriptor, in bytes. */
export function sizeOfDescriptor(descriptor: string, doing: string): number {
  const sectors = [...descriptor.matchAll(/^RW (\d+) /gm)].reduce((sum, extent) => sum + Number(extent[1]), 0)
  if (sectors === 0) throw new AppError('VSPHERE_STATE', `cannot ${doing}: it is no virtual disk that we know`)
  return sectors * SECTOR
}
