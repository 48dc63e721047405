/** The server stores on one SQLite file. */
import { z } from 'zod'
import { openDatabase, readRecord, type Database } from '../database/database.ts'
import { SourceRecord, VmwareRecord } from '../domain/server.ts'
import { AppError } from '../errors/app-error.ts'
import type { SecretBox } from './secret-box.ts'
import { MAX_SERVERS, type AccessStore, type ApiToken, type EnrolmentToken, type PassphraseStore, type SourceStore, type VmwareStore } from './server-store.ts'

const MIGRATIONS = [`
  CREATE TABLE source (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
  CREATE TABLE enrolment_token (source_id TEXT PRIMARY KEY REFERENCES source (id) ON DELETE CASCADE, token_id TEXT NOT NULL UNIQUE, hash TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;
  CREATE TABLE vmware (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, json TEXT NOT NULL, sealed_password TEXT NOT NULL) STRICT;
  CREATE TABLE api_token (token_id TEXT PRIMARY KEY, hash TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, expires_at_ms INTEGER) STRICT`,
'CREATE TABLE passphrase (job_id TEXT PRIMARY KEY, sealed TEXT NOT NULL) STRICT']

const Row = z.object({ json: z.string() })
const TokenRow = z.object({ source_id: z.string(), token_id: z.string(), hash: z.string(), expires_at_ms: z.number(), used: z.number() })
const ApiTokenRow = z.object({ token_id: z.string(), hash: z.string(), name: z.string(), role: z.enum(['admin', 'monitor']), expires_at_ms: z.number().nullable() })
const PasswordRow = z.object({ sealed_password: z.string() })
const PassphraseRow = z.object({ sealed: z.string() })

export class SqliteServerStore implements AsyncDisposable {
  readonly sources: SourceStore
  readonly vmware: VmwareStore
  readonly access: AccessStore
  readonly passphrases: PassphraseStore
  readonly #database: Database
  #open = true

  private constructor(database: Database, secrets: SecretBox) {
    this.#database = database
    this.sources = sourceStore(database)
    this.vmware = vmwareStore(database, secrets)
    this.access = accessStore(database)
    this.passphrases = passphraseStore(database, secrets)
  }

  /** @throws {AppError} STORE_INVALID */
  static async open(path: string, secrets: SecretBox): Promise<SqliteServerStore> {
    return new SqliteServerStore(openDatabase(path, MIGRATIONS), secrets)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#open) this.#database.close()
    this.#open = false
  }
}

function sourceStore(database: Database): SourceStore {
  return {
    insert: async source => {
      insertNamed(database, 'source', source.id, source.name)
      database.prepare('INSERT INTO source (id, name, json) VALUES (?, ?, ?)').run(source.id, source.name, JSON.stringify(source))
    },
    update: async source => {
      changed(database.prepare('UPDATE source SET json = ? WHERE id = ?').run(JSON.stringify(source), source.id), source.name)
    },
    get: async idOrName => readRecord(SourceRecord, jsonOf(database, 'source', idOrName), `source ${idOrName}`),
    list: async () => database.prepare('SELECT json FROM source ORDER BY rowid LIMIT ?').all(MAX_SERVERS).map(row => readRecord(SourceRecord, Row.parse(row).json, 'source')),
    remove: async id => { changed(database.prepare('DELETE FROM source WHERE id = ?').run(id), id) },
    putToken: async token => {
      jsonOf(database, 'source', token.sourceId)
      database.prepare('INSERT OR REPLACE INTO enrolment_token (source_id, token_id, hash, expires_at_ms, used) VALUES (?, ?, ?, ?, ?)')
        .run(token.sourceId, token.tokenId, token.hash, token.expiresAtMs, token.used ? 1 : 0)
    },
    findToken: async tokenId => {
      const row = database.prepare('SELECT * FROM enrolment_token WHERE token_id = ?').get(tokenId)
      return row === undefined ? undefined : enrolmentToken(TokenRow.parse(row))
    },
    takeToken: async tokenId => Number(database.prepare('UPDATE enrolment_token SET used = 1 WHERE token_id = ? AND used = 0').run(tokenId).changes) === 1,
  }
}

function vmwareStore(database: Database, secrets: SecretBox): VmwareStore {
  return {
    insert: async (vmware, password) => {
      insertNamed(database, 'vmware', vmware.id, vmware.name)
      database.prepare('INSERT INTO vmware (id, name, json, sealed_password) VALUES (?, ?, ?, ?)')
        .run(vmware.id, vmware.name, JSON.stringify(vmware), secrets.seal(password, `vmware ${vmware.id}`))
    },
    get: async idOrName => readRecord(VmwareRecord, jsonOf(database, 'vmware', idOrName), `VMware server ${idOrName}`),
    list: async () => database.prepare('SELECT json FROM vmware ORDER BY rowid LIMIT ?').all(MAX_SERVERS).map(row => readRecord(VmwareRecord, Row.parse(row).json, 'VMware server')),
    password: async id => {
      const row = database.prepare('SELECT sealed_password FROM vmware WHERE id = ?').get(id)
      if (row === undefined) throw notFound(id)
      return secrets.open(PasswordRow.parse(row).sealed_password, `vmware ${id}`)
    },
    remove: async id => { changed(database.prepare('DELETE FROM vmware WHERE id = ?').run(id), id) },
  }
}

function accessStore(database: Database): AccessStore {
  const select = 'SELECT * FROM api_token'
  return {
    put: async token => {
      database.prepare('INSERT OR REPLACE INTO api_token (token_id, hash, name, role, expires_at_ms) VALUES (?, ?, ?, ?, ?)')
        .run(token.tokenId, token.hash, token.name, token.role, token.expiresAtMs ?? null)
    },
    find: async tokenId => {
      const row = database.prepare(`${select} WHERE token_id = ?`).get(tokenId)
      return row === undefined ? undefined : apiToken(ApiTokenRow.parse(row))
    },
    list: async () => database.prepare(`${select} ORDER BY rowid LIMIT ?`).all(MAX_SERVERS).map(row => apiToken(ApiTokenRow.parse(row))),
  }
}

function passphraseStore(database: Database, secrets: SecretBox): PassphraseStore {
  return {
    put: async (jobId, passphrase) => {
      database.prepare('INSERT OR REPLACE INTO passphrase (job_id, sealed) VALUES (?, ?)').run(jobId, secrets.seal(passphrase, `job ${jobId}`))
    },
    get: async jobId => {
      const row = database.prepare('SELECT sealed FROM passphrase WHERE job_id = ?').get(jobId)
      return row === undefined ? undefined : secrets.open(PassphraseRow.parse(row).sealed, `job ${jobId}`)
    },
    remove: async jobId => { database.prepare('DELETE FROM passphrase WHERE job_id = ?').run(jobId) },
  }
}

function insertNamed(database: Database, table: 'source' | 'vmware', id: string, name: string): void {
  if (database.prepare(`SELECT 1 FROM ${table} WHERE id = ? OR name = ?`).get(id, name) !== undefined) {
    throw new AppError('SERVER_EXISTS', `there is a server named ${name}`)
  }
}

/** An id comes before a name. */
function jsonOf(database: Database, table: 'source' | 'vmware', idOrName: string): string {
  const row = database.prepare(`SELECT json FROM ${table} WHERE id = ? OR name = ? ORDER BY id = ? DESC LIMIT 1`).get(idOrName, idOrName, idOrName)
  if (row === undefined) throw notFound(idOrName)
  return Row.parse(row).json
}

function changed(result: { changes: number | bigint }, what: string): void {
  if (Number(result.changes) === 0) throw notFound(what)
}

const notFound = (what: string): AppError => new AppError('SERVER_NOT_FOUND', `there is no server ${what}`)

const enrolmentToken = (row: z.infer<typeof TokenRow>): EnrolmentToken =>
  ({ sourceId: row.source_id, tokenId: row.token_id, hash: row.hash, expiresAtMs: row.expires_at_ms, used: row.used !== 0 })

const apiToken = (row: z.infer<typeof ApiTokenRow>): ApiToken =>
  ({ tokenId: row.token_id, hash: row.hash, name: row.name, role: row.role, expiresAtMs: row.expires_at_ms ?? undefined })
