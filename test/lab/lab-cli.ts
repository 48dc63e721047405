/** The real command line, as a user of the lab's appliance runs it. */
import { join } from 'node:path'
import { execa } from 'execa'
import type { z } from 'zod'
import { CLI, NODE } from './paths.ts'
import { RUN_VARIABLE, type RunDirectory } from './run-directory.ts'

export interface CliResult { exitCode: number, stdout: string, stderr: string }

export interface CliOptions {
  /** standard output and standard error go to this process's own, as they come; the result has neither */
  show?: boolean
  timeoutMs?: number
  signal?: AbortSignal
}

export interface LabCli {
  /** environment that a user would have: address, CA and token of the appliance, password of vSphere */
  readonly env: Readonly<Record<string, string>>
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>
  /** Runs with --json and reads the answer. @throws {Error} on any exit code but 0 */
  json<T>(schema: z.ZodType<T>, args: readonly string[], options?: CliOptions): Promise<T>
}

/** As a user would type it; what needs quoting is quoted. */
export function typed(program: string, args: readonly string[]): string {
  return [program, ...args.map(arg => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll('\'', '\'\\\'\'')}'`))].join(' ')
}

export function createCli(run: RunDirectory, env: Readonly<Record<string, string>>): LabCli {
  const environment = { ...env, XDG_CONFIG_HOME: join(run.path, 'config'), [RUN_VARIABLE]: run.id }
  const cli: LabCli = {
    env,
    run: async (args, o = {}) => {
      const r = await execa(NODE, [CLI, ...args], {
        reject: false, env: environment, stdin: 'ignore', stdout: o.show === true ? 'inherit' : 'pipe', stderr: o.show === true ? 'inherit' : 'pipe',
        timeout: o.timeoutMs ?? 120_000, maxBuffer: 16 << 20, ...(o.signal === undefined ? {} : { cancelSignal: o.signal }),
      })
      if (r.isCanceled) o.signal?.throwIfAborted()
      if (r.exitCode === undefined) throw new Error(`${typed('landfall', args)} ${r.timedOut ? 'did not end in time' : `was ended: ${r.message ?? ''}`}`)
      return { exitCode: r.exitCode, stdout: r.stdout ?? '', stderr: r.stderr ?? '' }
    },
    json: async (schema, args, o) => {
      const { exitCode, stdout, stderr } = await cli.run([...args, '--json'], o)
      if (exitCode !== 0) throw new Error(`${typed('landfall', args)} exited ${String(exitCode)}: ${stdout}${stderr}`)
      return schema.parse(JSON.parse(stdout))
    },
  }
  return cli
}
