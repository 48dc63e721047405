/**
 * What the appliance keeps of servers and of who may call: sources with their enrolment tokens, VMware servers with their credentials, API tokens,
 * passphrases of jobs. Tokens are kept as hashes only, passwords and passphrases encrypted. Every write is on disk when it resolves. It never speaks to a server.
 */
import type { SourceRecord, VmwareRecord } from '../domain/server.ts'

/** The longest list a store answers. */
export const MAX_SERVERS = 1000

/** An enrolment token as kept. */
export interface EnrolmentToken { sourceId: string, tokenId: string, hash: string, expiresAtMs: number, used: boolean }

export interface SourceStore {
  /** @throws {AppError} SERVER_EXISTS when id or name is taken */
  insert(source: SourceRecord): Promise<void>
  /** @throws {AppError} SERVER_NOT_FOUND */
  update(source: SourceRecord): Promise<void>
  /** By id or name. @throws {AppError} SERVER_NOT_FOUND */
  get(idOrName: string): Promise<SourceRecord>
  /** Oldest first, at most `MAX_SERVERS`. */
  list(): Promise<readonly SourceRecord[]>
  /** With its tokens. @throws {AppError} SERVER_NOT_FOUND */
  remove(id: string): Promise<void>
  /** Replaces the token of this source. @throws {AppError} SERVER_NOT_FOUND */
  putToken(token: EnrolmentToken): Promise<void>
  findToken(tokenId: string): Promise<EnrolmentToken | undefined>
  /** Marks the token used. @returns false when it was already, or is gone: exactly one caller gets true */
  takeToken(tokenId: string): Promise<boolean>
}

export interface VmwareStore {
  /** @throws {AppError} SERVER_EXISTS when id or name is taken */
  insert(vmware: VmwareRecord, password: string): Promise<void>
  /** By id or name. @throws {AppError} SERVER_NOT_FOUND */
  get(idOrName: string): Promise<VmwareRecord>
  /** Oldest first, at most `MAX_SERVERS`. */
  list(): Promise<readonly VmwareRecord[]>
  /** @throws {AppError} SERVER_NOT_FOUND, STORE_INVALID when it cannot be decrypted */
  password(id: string): Promise<string>
  /** @throws {AppError} SERVER_NOT_FOUND */
  remove(id: string): Promise<void>
}

/** Of jobs that encrypt anew, by the job's id. */
export interface PassphraseStore {
  put(jobId: string, passphrase: string): Promise<void>
  /** @throws {AppError} STORE_INVALID when it cannot be decrypted */
  get(jobId: string): Promise<string | undefined>
  /** Fine when there is none. */
  remove(jobId: string): Promise<void>
}

export type Role = 'admin' | 'monitor'

/** An API token as kept. */
export interface ApiToken { tokenId: string, hash: string, name: string, role: Role, expiresAtMs: number | undefined }

export interface AccessStore {
  put(token: ApiToken): Promise<void>
  find(tokenId: string): Promise<ApiToken | undefined>
  list(): Promise<readonly ApiToken[]>
}
