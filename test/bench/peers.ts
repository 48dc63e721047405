/** The peers that we measure ourselves against: each copies `source` to `target` once and has flushed when it ends. Times in ms, wall clock. */
import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { execa } from 'execa'
import { PROJECT } from '../lab/paths.ts'

export interface Peer extends AsyncDisposable {
  readonly name: string
  copy(source: string, target: string): Promise<number>
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

const flush = async (target: string): Promise<void> => { await execa('sync', ['-f', target]) }

/** Our own mirror by the stable lab command: agent and receiver as two processes over TLS; flushes by itself. The time is the mirror's own. */
export function landfall(compare: 'none' | 'attributes' | 'data'): Peer {
  return {
    name: `landfall ${compare}`,
    copy: async (source, target) => {
      const { stdout } = await execa('npm', ['run', '-s', 'lab', '--', 'mirror', source, target, '--compare', compare, '--json'], { cwd: PROJECT })
      const result = JSON.parse(stdout) as { durationMs: number, findings: unknown[] }
      if (result.findings.length > 0) throw new Error(`findings: ${stdout}`)
      return result.durationMs
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** rsync to an rsync daemon on loopback, without TLS. */
export async function rsync(directory: string, options: readonly string[]): Promise<Peer> {
  const port = await freePort()
  const config = join(directory, `rsyncd-${randomUUID()}.conf`)
  await writeFile(config, 'use chroot = no\n[all]\npath = /\nread only = no\nuid = 0\ngid = 0\n')
  const daemon = execa('rsync', ['--daemon', '--no-detach', `--port=${String(port)}`, `--config=${config}`, '--address=127.0.0.1'], { reject: false, stdin: 'ignore' }) // a socket there would mean inetd
  await listening(port)
  return {
    name: `rsync ${options.join(' ')}`,
    copy: async (source, target) => await timed(async () => {
      await execa('rsync', [...options, `${source}/`, `rsync://127.0.0.1:${String(port)}/all${target}/`])
      await flush(target)
    }),
    [Symbol.asyncDispose]: async () => {
      daemon.kill()
      await daemon
      await rm(config, { force: true })
    },
  }
}

/** tar to tar through a pipe. */
export function tarPipe(): Peer {
  return {
    name: 'tar | tar',
    copy: async (source, target) => await timed(async () => {
      const pack = execa('tar', ['--xattrs', '--xattrs-include=*', '--acls', '-C', source, '-cf', '-', '.'], { buffer: false })
      await pack.pipe('tar', ['--xattrs', '--xattrs-include=*', '--acls', '-C', target, '-xpf', '-'])
      await flush(target)
    }),
    [Symbol.asyncDispose]: async () => undefined,
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
