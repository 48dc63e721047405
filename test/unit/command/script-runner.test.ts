import { chmod, symlink, writeFile } from 'node:fs/promises'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ExecaScriptRunner } from '../../../src/command/execa-runner.ts'

const options = (timeoutMs = 20_000): { timeoutMs: number, signal: AbortSignal } => ({ timeoutMs, signal: AbortSignal.timeout(30_000) })

async function scripts(directory: string, files: Record<string, string>): Promise<ExecaScriptRunner> {
  await chmod(directory, 0o755)
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text, { mode: 0o700 })
  return new ExecaScriptRunner(directory)
}

t.test('a script gets its arguments as they are, no shell between, and a fixed environment', async t => {
  const runner = await scripts(t.testdir(), { show: '#!/bin/sh\nprintf "%s|" "$@"\necho "$HOME"\necho bad >&2\nexit 3\n' })
  t.same(await runner.run('show', ['a b', '$(touch /x)', '; ls', '-x'], options()), { exitCode: 3, timedOut: false, output: 'a b|$(touch /x)|; ls|-x|\nbad\n' })
})

t.test('one that hangs is ended with its children when its time is over', async t => {
  const dir = t.testdir()
  const pidFile = join(dir, 'child')
  const runner = await scripts(dir, { hang: `#!/bin/sh\nsleep 1000 &\necho $! > ${pidFile}\necho begun\nwait\n` })
  const result = await runner.run('hang', [], options(1500))
  t.match(result, { timedOut: true, output: 'begun\n' })
  const child = Number(readFileSync(pidFile, 'utf8'))
  const deadline = Date.now() + 10_000
  while (existsSync(`/proc/${String(child)}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${String(child)}/status`, 'utf8')) && Date.now() < deadline) await new Promise(resolve => { setTimeout(resolve, 20) })
  t.ok(Date.now() < deadline, 'its child is gone, too')
})

t.test('of what it writes the beginning is kept, and the rest does not hold it up', async t => {
  const runner = await scripts(t.testdir(), { loud: '#!/bin/sh\nhead -c 3000000 /dev/zero | tr "\\0" x\n' })
  const { exitCode, output } = await runner.run('loud', [], options())
  t.equal(exitCode, 0)
  t.equal(output.length, 64 * 1024)
})

t.test('nothing but a script of the administrator is run', async t => {
  const dir = t.testdir({ sub: {} })
  const runner = await scripts(dir, { open: '#!/bin/sh\n', plain: '#!/bin/sh\n', fine: '#!/bin/sh\n' })
  await chmod(join(dir, 'open'), 0o722)
  await chmod(join(dir, 'plain'), 0o600)
  await symlink('/bin/true', join(dir, 'link'))
  for (const name of ['open', 'plain', 'link', 'sub', 'missing', '../fine', '/bin/true', '', '.', '..']) await t.rejects(runner.run(name, [], options()), { code: 'TASK_INVALID' }, name)
  t.match(await runner.run('fine', [], options()), { exitCode: 0 })
  await chmod(dir, 0o777)
  await t.rejects(runner.run('fine', [], options()), { code: 'TASK_INVALID' }, 'a directory that others may write to')
})
