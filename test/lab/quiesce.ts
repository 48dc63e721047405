/**
 * What the lab's source does before it is frozen: a script of its administrator, and two services. The source is no machine with an init of its
 * own, so a script stands in for systemctl; what it and the services write lies on the source's volumes, where a frozen one would hold it up.
 */
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JobEventRecord, JobView } from '../../src/domain/job.ts'
import { RUN_SCRIPTS, type RunDirectory } from './run-directory.ts'

const SCRIPT = 'before-freeze'
/** in the order in which they are stopped */
export const SERVICES = ['shop', 'shop-db'] as const
/** on the source, and so on the replica */
const PLACE = '/data/quiesced'
const [BEGIN, END] = ['--- left before the freeze', '--- nothing more']

export interface Quiescing {
  /** of the agent's configuration */
  readonly agentConfig: Readonly<Record<string, string>>
  /** of `job create` */
  readonly flags: readonly string[]
  /** of a shell script that runs in the replica */
  readonly post: string
  /** The script does this before anything else, from now on. */
  disturbScript(text: string): Promise<void>
  /** Whether this service refuses to be stopped, from now on. */
  refuse(service: typeof SERVICES[number], refuses: boolean): Promise<void>
  /** those that run, by name */
  running(): Promise<string[]>
  /** what the services were told to do, oldest first; on the source */
  journal(): Promise<string[]>
  /** What a completed cutover shows of it. */
  shown(job: JobView, history: readonly JobEventRecord[]): Quiesced
}

export interface Quiesced {
  /** the script ran before the services stopped, they stopped before the freeze, and the replica has what each of them wrote */
  ok: boolean
  /** as the history of the job keeps it */
  scriptOutput: string
  servicesStopped: string
  /** from the end of the script to the freeze */
  scriptToFreezeMs: number
  /** what the replica has of it, line by line */
  onReplica: readonly string[]
}

export async function prepareQuiesce(run: RunDirectory, root: string): Promise<Quiescing> {
  const [units, refusing, place] = [join(run.path, 'units'), join(run.path, 'units-refusing'), join(root, PLACE)]
  for (const folder of [units, refusing, place]) await mkdir(folder)
  for (const service of SERVICES) await writeFile(join(units, service), '')
  const systemctl = join(run.path, 'systemctl')
  await writeProgram(systemctl, `verb=$1 unit=$3
case $verb in
is-active) if [ -e "${units}/$unit" ]; then echo active; else echo inactive; exit 3; fi ;;
stop)
  if [ -e "${refusing}/$unit" ]; then echo "$unit refuses to stop" >&2; exit 1; fi
  echo "stopped $unit" >>"${place}/journal"
  rm "${units}/$unit" ;;
start)
  echo "started $unit" >>"${place}/journal"
  : >"${units}/$unit" ;;
*) exit 64 ;;
esac
`)
  const scripts = await makeScripts(run)
  const argument = `of ${run.id} $(hostname); *`
  const writeScript = async (first: string): Promise<void> => {
    await writeProgram(join(scripts, SCRIPT), `${first}
printf '%s\\n' "$1" >"${place}/script"
echo "left $1, beside$(cd "${units}" && printf ' %s' *)"
date +%s%3N >>"${place}/script"
`)
  }
  await writeScript('')
  return {
    agentConfig: { scriptsDirectory: join(run.path, RUN_SCRIPTS), systemctl },
    flags: ['--pre-script', SCRIPT, '--pre-script-arg', argument, '--pre-script-timeout', '15', ...SERVICES.flatMap(service => ['--stop-service', service])],
    post: `echo '${BEGIN}'\ncat ${PLACE}/script ${PLACE}/journal\necho '${END}'\n`,
    disturbScript: writeScript,
    refuse: async (service, refuses) => {
      if (refuses) await writeFile(join(refusing, service), '')
      else await rm(join(refusing, service))
    },
    running: async () => (await readdir(units)).sort(),
    journal: async () => await linesOf(join(place, 'journal')),
    shown: (job, history) => {
      const last = (kind: string): JobEventRecord | undefined => history.findLast(event => event.kind === kind)
      const [script, stopped, drained] = [last('pre-script'), last('services-stopped'), last('drained')]
      const frozenAtMs = Date.parse(job.phases.findLast(({ phase }) => phase === 'frozen-drain')?.startedAtUtc ?? '')
      const output = job.proof?.scriptOutput ?? ''
      const onReplica = output.slice(output.indexOf(BEGIN), output.indexOf(END)).split('\n').slice(1, -1)
      const [left, writtenAt, ...journal] = onReplica
      const scriptToFreezeMs = frozenAtMs - Number(writtenAt)
      const expected = SERVICES.map(service => `stopped ${service}`)
      return {
        scriptOutput: script?.message ?? '', servicesStopped: stopped?.message ?? '', scriptToFreezeMs, onReplica,
        ok: left === argument && scriptToFreezeMs >= 0 && script?.message.endsWith(`: left ${argument}, beside ${SERVICES.join(' ')}`) === true && stopped?.message === SERVICES.join(', ')
          && script.sequence < stopped.sequence && stopped.sequence < (drained?.sequence ?? 0) && journal.slice(-SERVICES.length).join() === expected.join(),
      }
    },
  }
}

/** The agent runs scripts only where root alone could have put them; the project may lie in a directory of somebody else's. */
async function makeScripts(run: RunDirectory): Promise<string> {
  const folder = join(tmpdir(), `landfall-lab-${run.id}`)
  await symlink(folder, join(run.path, RUN_SCRIPTS))
  await mkdir(folder, { mode: 0o700 })
  return folder
}

/** One that runs goes on as it was. */
async function writeProgram(path: string, text: string): Promise<void> {
  const beside = `${path}.new`
  await writeFile(beside, `#!/bin/sh\nset -e\n${text}`)
  await chmod(beside, 0o755)
  await rename(beside, path)
}

async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8').catch(() => '')).split('\n').slice(0, -1)
}
