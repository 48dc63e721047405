import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { makeCertificate } from '../lab/certificate.ts'
import { VCSIM } from '../lab/paths.ts'

/** Why the tests against vcsim cannot run, or false. With REQUIRE_SYSTEM=1 they run, and fail, instead of being skipped. */
export function vcsimMissing(): string | false {
  if (process.env['REQUIRE_SYSTEM'] === '1') return false
  try {
    accessSync(VCSIM, constants.X_OK)
    return false
  } catch {
    return 'vcsim is not built: run npm run setup'
  }
}

/** A running vcsim with the user administrator and the password below, and how to reach it. */
export interface Vcsim extends AsyncDisposable {
  readonly port: number
  readonly password: string
  readonly thumbprint: string
  /** the folder of a datastore */
  folderOf(datastore: string): string
}

/** Starts vcsim with datastores of these sizes in GiB in a folder of its own, which goes with it. */
export async function startVcsim(datastores: Readonly<Record<string, number>>): Promise<Vcsim> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-vcsim-'))
  const password = 'Corr3ct-horse<&>'
  const certificate = await makeCertificate(folder, 'vcsim')
  const stores = Object.entries(datastores).flatMap(([name, gib]) => ['-datastore', `${name}=${join(folder, name)},${String(gib)}`])
  const child = spawn(VCSIM, ['-tlscert', certificate.certificateFile, '-tlskey', certificate.keyFile, ...stores],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, VCSIM_PASSWORD: password, TMPDIR: folder } })
  const ended = new Promise<void>(resolve => { child.once('exit', () => { resolve() }); child.once('error', () => { resolve() }) })
  let said = ''
  child.stderr.on('data', (text: Buffer) => { said = (said + text.toString()).slice(-4096) })
  const stop = async (): Promise<void> => {
    child.stdin.destroy()
    child.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const first = await Promise.race([
    new Promise<string>(resolve => { createInterface(child.stdout).once('line', resolve) }), ended.then(() => ''),
    new Promise<string>(resolve => { setTimeout(resolve, 30_000, '').unref() }),
  ])
  const port = /:(\d+)\/sdk/.exec(first)?.[1]
  if (port === undefined) {
    await stop()
    throw new Error(`vcsim did not start: ${said}`)
  }
  return {
    port: Number(port), password, thumbprint: certificate.thumbprint,
    folderOf: datastore => join(folder, datastore),
    [Symbol.asyncDispose]: stop,
  }
}
