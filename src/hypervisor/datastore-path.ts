import { AppError } from '../errors/app-error.ts'

/** vSphere's "[datastore] folder/name.vmdk" in its parts; `folder` is '' for a file at the top. */
export interface DatastorePath { readonly datastore: string, readonly folder: string, readonly file: string }

/** Reads a path of a file. @throws {AppError} REQUEST_INVALID when it is none */
export function parseDatastorePath(path: string): DatastorePath {
  const parts = /^\[([^\]]+)\] ?(\S.*)$/.exec(path)
  const [, datastore, below] = parts ?? []
  const segments = below?.split('/') ?? []
  if (datastore === undefined || segments.length === 0 || segments.some(s => s === '' || s === '.' || s === '..')) {
    throw new AppError('REQUEST_INVALID', `"${path}" is not a datastore path like "[datastore] folder/name.vmdk"`)
  }
  return { datastore, folder: segments.slice(0, -1).join('/'), file: segments.at(-1) ?? '' }
}

/** The path as vSphere writes it; without `file` that of the folder. */
export function formatDatastorePath({ datastore, folder, file }: DatastorePath): string {
  return `[${datastore}] ${[folder, file].filter(part => part !== '').join('/')}`.trimEnd()
}

/** Whether two texts name the same file. */
export function samePath(a: string, b: string): boolean {
  const spaceless = (path: string): string => path.replace(/^(\[[^\]]+\]) */, '$1')
  return spaceless(a) === spaceless(b)
}
