/** A PostgreSQL cluster with checksums, run by its package's user, and clients that record every commit they were told of. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { tool } from '../../lab/tool.ts'

const VERSIONS = '/usr/lib/postgresql'
const USER = 'postgres'

export const POSTGRES_SKIP: string | false = (() => {
  try {
    return readdirSync(VERSIONS).length > 0 ? false : 'needs PostgreSQL'
  } catch {
    return 'needs PostgreSQL'
  }
})()

function program(name: string): string {
  return join(VERSIONS, readdirSync(VERSIONS).toSorted().at(-1) ?? '', 'bin', name)
}

async function run(name: string, args: readonly string[], sockets: string): Promise<string> {
  return (await tool('runuser', ['-u', USER, '--', program(name), ...args], { cwd: '/', env: { PGHOST: sockets } })).stdout
}

/** A directory of the package's user. */
export async function ownedByPostgres(path: string): Promise<string> {
  const id = async (option: string): Promise<number> => Number((await tool('id', [option, USER])).stdout)
  mkdirSync(path, { recursive: true })
  chownSync(path, await id('-u'), await id('-g'))
  return path
}

export class PostgresCluster {
  readonly #data: string
  readonly #sockets: string

  constructor(data: string, sockets: string) {
    this.#data = data
    this.#sockets = sockets
  }

  async create(): Promise<void> {
    await run('initdb', ['-D', this.#data, '--data-checksums', '--no-locale', '-E', 'UTF8', '-A', 'peer', '--no-sync'], this.#sockets)
    await this.start()
    await this.query('CREATE TABLE told (client int, number int, filler text, PRIMARY KEY (client, number)); CREATE INDEX ON told (filler)')
  }

  async start(): Promise<void> {
    const settings = `-c listen_addresses= -c unix_socket_directories=${this.#sockets} -c shared_buffers=4MB -c max_wal_size=32MB -c checkpoint_timeout=30s`
    await run('pg_ctl', ['-D', this.#data, '-w', '-l', join(this.#sockets, 'log'), '-o', settings, 'start'], this.#sockets)
  }

  async stop(): Promise<void> {
    await run('pg_ctl', ['-D', this.#data, '-w', '-m', 'fast', 'stop'], this.#sockets)
  }

  async query(sql: string): Promise<string> {
    return (await run('psql', ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-c', sql], this.#sockets)).trim()
  }

  /** Every page and every index. @throws {ToolFailed} on any damage */
  async check(): Promise<void> {
    await this.query('CREATE EXTENSION amcheck')
    await run('pg_amcheck', ['--all', '--heapallindexed', '--parent-check'], this.#sockets)
    await this.stop()
    await run('pg_checksums', ['--check', '-D', this.#data], this.#sockets)
  }

  client(number: number): CommittingClient {
    const child = spawn('runuser', ['-u', USER, '--', program('psql'), '-X', '-q', '-At', '-d', 'postgres'], { cwd: '/', stdio: 'pipe', env: { PGHOST: this.#sockets, PATH: process.env['PATH'] } })
    return new CommittingClient(child, number)
  }
}

/** Commits one row after the other, each when the one before was told to be committed. */
export class CommittingClient implements AsyncDisposable {
  readonly number: number
  /** the rows 1 to this one are committed, as the server said */
  told = 0
  readonly #child: ChildProcessWithoutNullStreams
  readonly #ended: Promise<unknown>

  constructor(child: ChildProcessWithoutNullStreams, number: number) {
    this.#child = child
    this.number = number
    this.#ended = once(child, 'exit')
    createInterface({ input: child.stdout }).on('line', line => {
      this.told = Number(line)
      this.#next()
    })
    child.stderr.resume()
    child.stdin.on('error', () => undefined) // it ends with the server
    this.#next()
  }

  #next(): void {
    this.#child.stdin.write(`INSERT INTO told SELECT ${String(this.number)}, ${String(this.told + 1)}, repeat(md5(random()::text), 20) RETURNING number;\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#ended
  }
}
