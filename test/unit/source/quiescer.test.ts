import { chmod, chown, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { Quiesce } from '../../../src/domain/quiesce.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { agentLog } from '../../../src/logging/logger.ts'
import { Quiescer } from '../../../src/source/quiescer.ts'

const log = agentLog.child({}, { level: 'silent' })
const signal = AbortSignal.timeout(60_000)
const ROOT_SKIP = process.getuid?.() === 0 ? false : 'needs root to own scripts'

/** A machine with services; scripts are run for real. */
class Machine implements Runner {
  readonly running: Set<string>
  readonly calls: string[] = []
  refusing = new Set<string>()
  readonly #programs = new ExecaRunner()

  constructor(...running: string[]) {
    this.running = new Set(running)
  }

  async run(tool: string, args: readonly string[], options: Parameters<Runner['run']>[2]): ReturnType<Runner['run']> {
    if (tool.startsWith('/')) return await this.#programs.run(`/${tool.slice(1)}`, args, options)
    const [verb, dashes, unit = ''] = args
    if (tool !== 'systemctl' || dashes !== '--') throw new Error(`unexpected ${tool} ${args.join(' ')}`)
    const answer = (stdout: string, exitCode: number): Awaited<ReturnType<Runner['run']>> => ({ stdout, stderr: '', exitCode, durationMs: 1 })
    if (verb === 'is-active') return this.running.has(unit) ? answer('active\n', 0) : answer('inactive\n', 3)
    this.calls.push(`${String(verb)} ${unit}`)
    if (this.refusing.has(unit)) throw new AppError('TOOL_FAILED', `systemctl exited 1: ${unit} refuses`)
    if (verb === 'stop') this.running.delete(unit)
    else this.running.add(unit)
    return answer('', 0)
  }
}

async function place(t: Test, machine: Runner): Promise<{ quiescer: Quiescer, again: () => Quiescer, scripts: string, stateFile: string, notes: string[], note: (note: { kind: string, message: string }) => Promise<void> }> {
  const directory = t.testdir({})
  const seams = { runner: machine, log, scriptsDirectory: join(directory, 'scripts'), stateFile: join(directory, 'state', 'stopped.json') }
  await mkdir(seams.scriptsDirectory, { mode: 0o755 })
  const notes: string[] = []
  return {
    quiescer: new Quiescer(seams), again: () => new Quiescer(seams), scripts: seams.scriptsDirectory, stateFile: seams.stateFile, notes,
    note: async ({ kind, message }) => { notes.push(`${kind}: ${message}`) },
  }
}

async function script(directory: string, name: string, text: string, mode = 0o755): Promise<void> {
  await writeFile(join(directory, name), `#!/bin/sh\n${text}\n`)
  await chmod(join(directory, name), mode)
}

const wanted = (scripts: unknown[], services: string[] = []): Quiesce => Quiesce.parse({ scripts, services })

t.test('services that run are stopped in order, and started again in the opposite one', async t => {
  const machine = new Machine('web.service', 'db@14-main.service')
  const { quiescer, stateFile, notes, note } = await place(t, machine)
  const stoppedAtMs = await quiescer.quiesce(wanted([], ['web.service', 'cron.service', 'db@14-main.service']), note, signal)
  t.ok(stoppedAtMs !== undefined && stoppedAtMs <= Date.now())
  t.same(machine.calls, ['stop web.service', 'stop db@14-main.service'], 'what did not run is left alone')
  t.same(JSON.parse(await readFile(stateFile, 'utf8')), { version: 1, services: ['web.service', 'db@14-main.service'] })
  t.same(notes, ['services-stopped: web.service, db@14-main.service'])
  t.same(await quiescer.restore(), [{ kind: 'services-started', message: 'started again: db@14-main.service, web.service' }])
  t.same(machine.calls.slice(2), ['start db@14-main.service', 'start web.service'])
  t.notOk(existsSync(stateFile))
  t.same(await quiescer.restore(), [], 'twice is fine')
})

t.test('an agent that died while services were stopped starts them when it runs again', async t => {
  const machine = new Machine('web.service', 'db.service')
  const { quiescer, again, stateFile, note } = await place(t, machine)
  await quiescer.quiesce(wanted([], ['web.service', 'db.service']), note, signal)
  await again().recover()
  t.same(machine.calls.slice(2), ['start db.service', 'start web.service'])
  t.notOk(existsSync(stateFile))
  await again().recover()
  t.equal(machine.calls.length, 4, 'only once')
})

t.test('a service that cannot be stopped ends it; those before it are started again', async t => {
  const machine = new Machine('web.service', 'db.service')
  machine.refusing.add('db.service')
  const { quiescer, note } = await place(t, machine)
  await t.rejects(quiescer.quiesce(wanted([], ['web.service', 'db.service']), note, signal), { code: 'SERVICE_STOP_FAILED', message: /db\.service refuses/ })
  machine.refusing.clear()
  await quiescer.restore()
  t.same([...machine.running].sort(), ['db.service', 'web.service'])
})

t.test('a service that cannot be started is told, and tried again by the next agent', async t => {
  const machine = new Machine('web.service', 'db.service')
  const { quiescer, again, note } = await place(t, machine)
  await quiescer.quiesce(wanted([], ['web.service', 'db.service']), note, signal)
  machine.refusing.add('web.service')
  const notes = await quiescer.restore()
  t.match(notes.map(({ message }) => message), ['started again: db.service', /web\.service could not be started again/])
  machine.refusing.clear()
  await again().recover()
  t.ok(machine.running.has('web.service'))
})

t.test('after a complete cutover nothing is started again', async t => {
  const machine = new Machine('web.service')
  const { quiescer, again, stateFile, note } = await place(t, machine)
  await quiescer.quiesce(wanted([], ['web.service']), note, signal)
  await quiescer.finish({ frozen: false })
  t.notOk(existsSync(stateFile))
  t.same(await quiescer.restore(), [])
  await again().recover()
  t.same(machine.calls, ['stop web.service'])
})

t.test('a source that was frozen when the cutover was complete forgets its list when it thaws: no later agent starts what the replica serves', async t => {
  const machine = new Machine('web.service')
  const { quiescer, again, stateFile, note } = await place(t, machine)
  await quiescer.quiesce(wanted([], ['web.service']), note, signal)
  await quiescer.finish({ frozen: true })
  t.ok(existsSync(stateFile), 'nothing is written while it is frozen')
  t.same(await quiescer.restore(), [], 'the thaw')
  t.notOk(existsSync(stateFile))
  await again().recover()
  t.same(machine.calls, ['stop web.service'])
})

t.test('scripts run with their arguments as they are, before services are stopped, and their output is kept', { skip: ROOT_SKIP }, async t => {
  const machine = new Machine('web.service')
  const { quiescer, scripts, notes, note } = await place(t, machine)
  await script(scripts, 'say', 'printf "[%s]" "$@"; echo on standard error >&2')
  await quiescer.quiesce(wanted([{ name: 'say', arguments: ['a b', '$HOME;ls', '-x'] }], ['web.service']), note, signal)
  t.match(notes[0], /^pre-script: say succeeded in \d+ ms: \[a b\]\[\$HOME;ls\]\[-x\]on standard error$/)
  t.match(notes[1], /^services-stopped/)
})

t.test('a script that writes without end is not stopped for it, and only the end is kept', { skip: ROOT_SKIP }, async t => {
  const { quiescer, scripts, notes, note } = await place(t, new Machine())
  await script(scripts, 'much', 'head -c 20000000 /dev/zero | tr "\\0" x; echo the end')
  await quiescer.quiesce(wanted([{ name: 'much' }]), note, signal)
  t.match(notes[0], /the end$/)
  t.ok((notes[0] ?? '').length < 5000)
})

t.test('a script that fails, or does not end, stops the cutover before anything is stopped', { skip: ROOT_SKIP }, async t => {
  const machine = new Machine('web.service')
  const { quiescer, scripts, note } = await place(t, machine)
  await script(scripts, 'fails', 'echo no disk >&2; exit 3')
  await script(scripts, 'complains', 'echo standby is behind; exit 4')
  await script(scripts, 'hangs', 'echo waiting for the lock; sleep 600')
  await t.rejects(quiescer.quiesce(wanted([{ name: 'fails' }], ['web.service']), note, signal), { code: 'PRE_SCRIPT_FAILED', message: /exited 3: no disk/ })
  await t.rejects(quiescer.quiesce(wanted([{ name: 'complains' }], ['web.service']), note, signal), { code: 'PRE_SCRIPT_FAILED', message: /exited 4: standby is behind/ }, 'what it says on standard output is told')
  await t.rejects(quiescer.quiesce(wanted([{ name: 'hangs', timeoutMs: 1000 }], ['web.service']), note, signal), { code: 'PRE_SCRIPT_FAILED', message: /did not end within 1000 ms: waiting for the lock/ })
  t.same(machine.calls, [])
})

t.test('a script that is not there, is no file, or that others than root can write, is not run', { skip: ROOT_SKIP }, async t => {
  const { quiescer, scripts, note } = await place(t, new Machine())
  const ran = join(scripts, 'ran')
  for (const name of ['open', 'foreign', 'plain', 'good']) await script(scripts, name, `touch ${ran}`)
  await chmod(join(scripts, 'open'), 0o775)
  await chown(join(scripts, 'foreign'), 65534, 0)
  await chmod(join(scripts, 'plain'), 0o644)
  await symlink('good', join(scripts, 'link'))
  await mkdir(join(scripts, 'folder'))
  for (const name of ['open', 'foreign', 'plain', 'link', 'folder', 'missing']) {
    await t.rejects(quiescer.quiesce(wanted([{ name }]), note, signal), { code: 'PRE_SCRIPT_INVALID' }, name)
  }
  await chmod(scripts, 0o777)
  await t.rejects(quiescer.quiesce(wanted([{ name: 'good' }]), note, signal), { code: 'PRE_SCRIPT_INVALID', message: /written to by others/ })
  t.notOk(existsSync(ran))
  await chmod(scripts, 0o755)
  await quiescer.quiesce(wanted([{ name: 'good' }]), note, signal)
  t.ok(existsSync(ran))
})

t.test('names that could be anything else than a name are refused', async t => {
  for (const name of ['', '../up', 'a/b', '-x', '.hidden', 'a\0b', 'a b', 'a'.repeat(129)]) t.notOk(Quiesce.safeParse({ scripts: [{ name }] }).success, JSON.stringify(name))
  for (const unit of ['', '-H evil', '--now', 'a/b', 'a;b', 'a b', 'a\nb', 'x'.repeat(256), 'landfall-agent', 'landfall-agent.service']) t.notOk(Quiesce.safeParse({ services: [unit] }).success, JSON.stringify(unit))
  t.notOk(Quiesce.safeParse({ services: ['web', 'web'] }).success, 'twice')
  t.notOk(Quiesce.safeParse({ scripts: [{ name: 'x', timeoutMs: 10 }] }).success)
  t.notOk(Quiesce.safeParse({ scripts: [{ name: 'x', arguments: ['a\0b'] }] }).success)
  t.ok(Quiesce.safeParse({ scripts: [{ name: 'before.sh', arguments: ['-x', '$(y)'] }], services: ['db@14-main.service', 'dev-disk-by\\x2duuid.swap', 'cron'] }).success)
})
