/** The peers that we measure ourselves against: each copies `source` to `target` once and has flushed when it ends. */
import { randomUUID } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { execa } from 'execa'
import { machineCpuMs } from '../lab/processor-time.ts'
import { mirrorDirectories } from '../lab/transfer.ts'

/** What one copy took: elapsed time, processor time of the whole machine, bytes to the target's side where the tool tells. */
export interface Cost { ms: number, cpuMs: number, bytesSent?: number, agentPeakBytes?: number, receiverPeakBytes?: number }

export interface Peer extends AsyncDisposable {
  readonly name: string
  copy(source: string, target: string, signal: AbortSignal): Promise<Cost>
}

async function timed(work: () => Promise<unknown>): Promise<Cost> {
  const cpuBefore = machineCpuMs()
  const from = performance.now()
  await work()
  return { ms: Math.round(performance.now() - from), cpuMs: machineCpuMs() - cpuBefore }
}

const flush = async (target: string): Promise<void> => { await execa('sync', ['-f', target]) }
const keep = async (): Promise<void> => undefined

/**
 * Our own mirror as the lab runs it: agent and receiver as two processes over TLS; flushes by itself. The time is from the request to
 * "complete": agent and appliance are services that run already, as rsync's daemon does.
 */
export function landfall(compare: 'none' | 'attributes' | 'data'): Peer {
  return {
    name: `landfall, ${compare}`,
    copy: async (source, target, signal) => {
      const result = await mirrorDirectories({ source, target, request: { compare, orphans: 'keep' } }, signal)
      if (result.findings.length > 0) throw new Error(`findings: ${JSON.stringify(result.findings.slice(0, 10))}`)
      const { durationMs, machineCpuMs: cpuMs, bytesSent, agentPeakBytes, receiverPeakBytes } = result
      return { ms: durationMs, cpuMs, bytesSent, agentPeakBytes, receiverPeakBytes }
    },
    [Symbol.asyncDispose]: keep,
  }
}

export interface RsyncDaemon extends AsyncDisposable {
  /** of a directory, for rsync's command line */
  url(directory: string): string
}

/** An rsync daemon on loopback, without TLS; its configuration lies in the directory. */
export async function rsyncDaemon(directory: string): Promise<RsyncDaemon> {
  const port = await freePort()
  const config = join(directory, `rsyncd-${randomUUID()}.conf`)
  await writeFile(config, 'use chroot = no\n[all]\npath = /\nread only = no\nuid = 0\ngid = 0\n')
  const daemon = execa('rsync', ['--daemon', '--no-detach', `--port=${String(port)}`, `--config=${config}`, '--address=127.0.0.1'], { reject: false, stdin: 'ignore' }) // a socket there would mean inetd
  await listening(port)
  return {
    url: path => `rsync://127.0.0.1:${String(port)}/all${path}/`,
    [Symbol.asyncDispose]: async () => {
      daemon.kill()
      await daemon
      await rm(config, { force: true })
    },
  }
}

/** rsync to an rsync daemon. */
export async function rsync(directory: string, options: readonly string[]): Promise<Peer> {
  const daemon = await rsyncDaemon(directory)
  return {
    name: `rsync ${options.join(' ')}`,
    copy: async (source, target, signal) => {
      let said = ''
      const cost = await timed(async () => {
        const { stdout } = await execa('rsync', [...options, '--stats', `${source}/`, daemon.url(target)], { env: { LC_ALL: 'C' }, cancelSignal: signal })
        said = stdout
        await flush(target)
      })
      return { ...cost, bytesSent: Number((/^Total bytes sent: ([\d,]+)/m.exec(said)?.[1] ?? 'NaN').replaceAll(',', '')) }
    },
    [Symbol.asyncDispose]: async () => { await daemon[Symbol.asyncDispose]() },
  }
}

const PACK = ['--xattrs', '--xattrs-include=*', '--acls']

/** tar to tar through so many pipes at once, each with a share of the entries of the source's root. */
export function tarPipes(pipes: number): Peer {
  return {
    name: pipes === 1 ? 'tar \\| tar' : `${String(pipes)} × tar \\| tar at once`,
    copy: async (source, target, signal) => {
      const names = (await readdir(source)).filter(name => name !== 'lost+found')
      const shares = Array.from({ length: pipes }, (_, pipe) => pipes === 1 ? ['.'] : names.filter((_name, i) => i % pipes === pipe))
      return await timed(async () => {
        await Promise.all(shares.map(async share => {
          const pack = execa('tar', [...PACK, '-C', source, '-cf', '-', '--', ...share], { buffer: false, cancelSignal: signal })
          await pack.pipe('tar', [...PACK, '-C', target, '-xpf', '-'])
        }))
        await flush(target)
      })
    },
    [Symbol.asyncDispose]: keep,
  }
}

/** Resolves when something listens on the port. */
async function listening(port: number): Promise<void> {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline;) {
    const open = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => { socket.end(); resolve(true) })
      socket.on('error', () => { resolve(false) })
    })
    if (open) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('the rsync daemon does not listen')
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => { resolve(port) })
    })
  })
}
