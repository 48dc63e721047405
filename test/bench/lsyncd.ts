/** lsyncd with rsync, as people set it up who do not have us: inotify on every directory, and an rsync of what has changed each second. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { processCpuMs } from '../lab/processor-time.ts'
import { waitUntil } from '../lab/process-identity.ts'
import { tool } from '../lab/tool.ts'
import { rsyncDaemon } from './peers.ts'

const READY_MS = 600_000

export interface Lsyncd extends AsyncDisposable {
  /** processor time of lsyncd and of the rsyncs on the source's side that have ended */
  cpuMs(): number
}

/** Runs when this resolves: what is there is copied, and a change made then has arrived. */
export async function startLsyncd(scratch: string, source: string, target: string): Promise<Lsyncd> {
  await using stack = new AsyncDisposableStack()
  const daemon = stack.use(await rsyncDaemon(scratch))
  await tool('rsync', ['-aHAXS', `${source}/`, daemon.url(target)], { timeoutMs: 600_000 })
  const config = join(scratch, 'lsyncd.lua')
  const quoted = (text: string): string => JSON.stringify(text)
  await writeFile(config, `settings { nodaemon = true, logfile = ${quoted(join(scratch, 'lsyncd.log'))}, statusFile = ${quoted(join(scratch, 'lsyncd.status'))}, maxProcesses = 1 }
sync { default.rsync, source = ${quoted(source)}, target = ${quoted(daemon.url(target))}, delay = 1, delete = 'running', rsync = { archive = true, hard_links = true, acls = true, xattrs = true, sparse = true } }
`)
  const lsyncd = execa('lsyncd', ['-nodaemon', config], { reject: false, stdin: 'ignore', buffer: false, stdout: 'ignore', stderr: 'ignore' })
  stack.defer(async () => {
    lsyncd.kill('SIGTERM')
    await lsyncd
  })
  const { pid } = lsyncd
  if (pid === undefined) throw new Error('lsyncd could not be started')
  await writeFile(join(source, 'lsyncd-ready'), '')
  await waitUntil('lsyncd to carry a change', READY_MS, () => existsSync(join(target, 'lsyncd-ready')))
  const owned = stack.move()
  return { cpuMs: () => processCpuMs(pid), [Symbol.asyncDispose]: async () => { await owned.disposeAsync() } }
}
