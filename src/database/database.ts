/**
 * The appliance's SQLite files, opened the one way we trust: WAL with synchronous=FULL, so that what a write answered survives a power loss,
 * and a schema version that an older program refuses to touch. It knows nothing of what is stored.
 */
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

export type { DatabaseSync as Database } from 'node:sqlite'

/**
 * Opens or makes the database at `path` (':memory:' for one that is never on disk). `migrations[n]` is SQL that brings version n to n+1; those that
 * are missing run in one transaction.
 * @throws {AppError} STORE_INVALID when the file is no database, or of a newer version
 */
export function openDatabase(path: string, migrations: readonly string[]): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 5000 })
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;')
    const version = versionOf(database)
    if (version > migrations.length) {
      throw new AppError('STORE_INVALID', `${path} has schema version ${String(version)}, this program knows ${String(migrations.length)}`)
    }
    if (version < migrations.length) {
      database.exec(`BEGIN IMMEDIATE; ${migrations.slice(version).join(';\n')}; PRAGMA user_version = ${String(migrations.length)}; COMMIT;`)
    }
    return database
  } catch (error) {
    database?.close()
    if (error instanceof AppError) throw error
    throw new AppError('STORE_INVALID', `cannot open the database ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/**
 * Keeps every other process from locking the same file until disposed; a process that is killed lets go.
 * @throws {AppError} STATE_IN_USE when another process has it
 */
export function lockFile(path: string): Disposable {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    throw new AppError('STATE_IN_USE', `${path} is locked by another process`, { cause: error })
  }
  return { [Symbol.dispose]: () => { if (database.isOpen) database.close() } }
}

/**
 * A stored JSON text as the record it must be.
 * @throws {AppError} STORE_INVALID when it is something else
 */
export function readRecord<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  try {
    return schema.parse(JSON.parse(z.string().parse(json)))
  } catch (error) {
    throw new AppError('STORE_INVALID', `the stored ${what} cannot be read`, { cause: error })
  }
}

const Version = z.object({ user_version: z.number().int() })

function versionOf(database: DatabaseSync): number {
  return Version.parse(database.prepare('PRAGMA user_version').get()).user_version
}
