/** The job store on SQLite. */
import { z } from 'zod'
import { openDatabase, readRecord, type Database } from '../database/database.ts'
import { Job, JobEventRecord } from '../domain/job.ts'
import type { ScreenshotOf } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { MAX_JOBS, type JobStore } from './job-store.ts'

const MIGRATIONS = [`
  CREATE TABLE job (id TEXT PRIMARY KEY, name TEXT NOT NULL, removed INTEGER NOT NULL, created INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
  CREATE UNIQUE INDEX job_name ON job (name) WHERE removed = 0;
  CREATE TABLE job_event (job_id TEXT NOT NULL, sequence INTEGER NOT NULL, at_utc TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (job_id, sequence)) STRICT, WITHOUT ROWID`, `
  CREATE TABLE job_screenshot (job_id TEXT NOT NULL, of TEXT NOT NULL, png BLOB NOT NULL, PRIMARY KEY (job_id, of)) STRICT`]

const Row = z.object({ json: z.string() })
const EventRow = z.object({ job_id: z.string(), sequence: z.number(), at_utc: z.string(), kind: z.string(), message: z.string() })
const ScreenshotRow = z.object({ png: z.instanceof(Uint8Array) })
const Sequence = z.object({ last: z.number() })

export class SqliteJobStore implements JobStore {
  readonly #database: Database
  readonly #now: () => Date
  #open = true

  private constructor(database: Database, now: () => Date) {
    this.#database = database
    this.#now = now
  }

  /** @throws {AppError} STORE_INVALID */
  static async open(path: string, now: () => Date = () => new Date()): Promise<SqliteJobStore> {
    return new SqliteJobStore(openDatabase(path, MIGRATIONS), now)
  }

  async insert(job: Job): Promise<void> {
    const found = this.#database.prepare('SELECT 1 FROM job WHERE id = ? OR (name = ? AND removed = 0)').get(job.id, job.name)
    if (found !== undefined) throw new AppError('JOB_EXISTS', `there is a job named ${job.name}`)
    this.#database.prepare('INSERT INTO job (id, name, removed, created, json) VALUES (?, ?, ?, (SELECT COALESCE(MAX(created), 0) + 1 FROM job), ?)')
      .run(job.id, job.name, removed(job), JSON.stringify(job))
  }

  async update(job: Job): Promise<void> {
    const { changes } = this.#database.prepare('UPDATE job SET removed = ?, json = ? WHERE id = ?').run(removed(job), JSON.stringify(job), job.id)
    if (Number(changes) === 0) throw new AppError('JOB_NOT_FOUND', `there is no job ${job.id}`)
  }

  async get(idOrName: string): Promise<Job> {
    const row = this.#database.prepare('SELECT json FROM job WHERE id = ? OR (name = ? AND removed = 0) ORDER BY id = ? DESC LIMIT 1').get(idOrName, idOrName, idOrName)
    if (row === undefined) throw new AppError('JOB_NOT_FOUND', `there is no job ${idOrName}`)
    return readRecord(Job, Row.parse(row).json, `job ${idOrName}`)
  }

  async list(): Promise<readonly Job[]> {
    return this.#database.prepare('SELECT json FROM job WHERE removed = 0 ORDER BY created LIMIT ?').all(MAX_JOBS)
      .map(row => readRecord(Job, Row.parse(row).json, 'job'))
  }

  async appendEvent(jobId: string, kind: string, message: string): Promise<JobEventRecord> {
    const atUtc = this.#now().toISOString()
    const row = this.#database.prepare(`INSERT INTO job_event (job_id, sequence, at_utc, kind, message)
      VALUES (?, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM job_event WHERE job_id = ?), ?, ?, ?) RETURNING sequence AS last`).get(jobId, jobId, atUtc, kind, message)
    return { sequence: Sequence.parse(row).last, jobId, atUtc, kind, message }
  }

  async events(jobId: string, afterSequence: number, limit: number): Promise<readonly JobEventRecord[]> {
    return this.#database.prepare('SELECT * FROM job_event WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?').all(jobId, afterSequence, limit)
      .map(row => {
        const event = EventRow.parse(row)
        return { sequence: event.sequence, jobId: event.job_id, atUtc: event.at_utc, kind: event.kind, message: event.message }
      })
  }

  async putScreenshot(jobId: string, of: ScreenshotOf, png: Uint8Array): Promise<void> {
    this.#database.prepare('INSERT INTO job_screenshot (job_id, of, png) VALUES (?, ?, ?) ON CONFLICT (job_id, of) DO UPDATE SET png = excluded.png').run(jobId, of, png)
  }

  async screenshot(jobId: string, of: ScreenshotOf): Promise<Uint8Array | undefined> {
    const row = this.#database.prepare('SELECT png FROM job_screenshot WHERE job_id = ? AND of = ?').get(jobId, of)
    return row === undefined ? undefined : ScreenshotRow.parse(row).png
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#open) this.#database.close()
    this.#open = false
  }
}

const removed = (job: Job): number => (job.state === 'removed' ? 1 : 0)
