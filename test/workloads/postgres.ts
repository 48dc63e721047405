/** A PostgreSQL server of our own under pgbench, as the user that its package makes. */
import { chown, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tool } from '../lab/tool.ts'

const VERSIONS = '/usr/lib/postgresql'
const USER = 'postgres'
const CLIENTS = 3
const START_MS = 120_000

const data = (directory: string): string => join(directory, 'data')

/** Makes the cluster and pgbench's tables. */
export async function preparePostgres(directory: string): Promise<void> {
  const { stdout } = await tool('id', ['-u', USER])
  const { stdout: group } = await tool('id', ['-g', USER])
  await chown(directory, Number(stdout), Number(group))
  await asPostgres(directory, 'initdb', ['-D', data(directory), '--no-locale', '-E', 'UTF8', '-A', 'peer', '--no-sync'])
  await start(directory)
  await asPostgres(directory, 'pgbench', ['-i', '-q', '-s', '2', 'postgres'])
  await stop(directory, 'fast')
}

/** Transactions for so many seconds; the server is then stopped as by a power loss, and needs its log to recover. */
export async function runPostgres(directory: string, seconds: number, seed: number, signal: AbortSignal): Promise<void> {
  await start(directory)
  try {
    await asPostgres(directory, 'pgbench', ['-n', '-c', String(CLIENTS), '-T', String(seconds), '--random-seed', String(seed), 'postgres'], seconds * 4000 + 60_000)
    signal.throwIfAborted()
  } finally {
    await stop(directory, 'immediate')
  }
}

/** Starts the server on these processors, runs so many transactions for each client, and stops it in order. */
export async function transactPostgres(directory: string, transactions: number, processors: string): Promise<void> {
  await start(directory, ['taskset', '-c', processors])
  try {
    await asPostgres(directory, 'pgbench', ['-n', '-c', String(CLIENTS), '-t', String(transactions), '--random-seed=1', 'postgres'], 600_000, ['taskset', '-c', processors])
  } finally {
    await stop(directory, 'fast')
  }
}

async function start(directory: string, through: readonly string[] = []): Promise<void> {
  // checkpoints come often, so that pages of tables are written, too
  const settings = `-c listen_addresses= -c unix_socket_directories=${directory} -c shared_buffers=8MB -c max_wal_size=32MB -c checkpoint_timeout=30s`
  await asPostgres(directory, 'pg_ctl', ['-D', data(directory), '-w', '-l', join(directory, 'log'), '-o', settings, 'start'], START_MS, through)
}

async function stop(directory: string, mode: 'fast' | 'immediate'): Promise<void> {
  await asPostgres(directory, 'pg_ctl', ['-D', data(directory), '-w', '-m', mode, 'stop'])
}

async function asPostgres(directory: string, program: string, args: readonly string[], timeoutMs = START_MS, through: readonly string[] = []): Promise<void> {
  const [version] = (await readdir(VERSIONS)).toSorted().reverse()
  if (version === undefined) throw new Error(`there is no PostgreSQL below ${VERSIONS}`)
  await tool('runuser', ['-u', USER, '--', ...through, join(VERSIONS, version, 'bin', program), ...args], { timeoutMs, cwd: '/', env: { PGHOST: directory } })
}
