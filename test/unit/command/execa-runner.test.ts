import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { RunOptions } from '../../../src/command/runner.ts'

const options = (more: Partial<RunOptions> = {}): RunOptions => ({ signal: AbortSignal.timeout(20_000), timeoutMs: 15_000, ...more })

/** A runner whose `lsblk` is this shell script. */
async function withScript(t: Test, body: string): Promise<ExecaRunner> {
  const folder = t.testdir({ tool: `#!/bin/sh\n${body}\n` })
  await chmod(join(folder, 'tool'), 0o755)
  return new ExecaRunner({ lsblk: join(folder, 'tool') })
}

t.test('a tool that succeeds answers with its output and exit code 0', async t => {
  const r = await new ExecaRunner().run('lsblk', ['--version'], options())
  t.match(r.stdout, /util-linux/)
  t.equal(r.exitCode, 0)
})

t.test('a tool that fails is TOOL_FAILED with the end of its standard error', async t => {
  const runner = await withScript(t, 'echo first >&2; echo cannot do that >&2; exit 3')
  await t.rejects(runner.run('lsblk', [], options()), { code: 'TOOL_FAILED', message: /^lsblk exited 3: [^]*cannot do that$/ })
})

t.test('an allowed exit code is an answer', async t => {
  const runner = await withScript(t, 'echo fixed; exit 1')
  t.match(await runner.run('lsblk', [], options({ allowedExitCodes: [1] })), { exitCode: 1, stdout: 'fixed\n' })
})

t.test('an allowed exit code does not excuse another one', async t => {
  const runner = await withScript(t, 'exit 4')
  await t.rejects(runner.run('lsblk', [], options({ allowedExitCodes: [1] })), { code: 'TOOL_FAILED' })
})

t.test('a tool that is not installed is TOOL_MISSING and named', async t => {
  const runner = new ExecaRunner({ lsblk: join(t.testdir(), 'lsblk') })
  await t.rejects(runner.run('lsblk', [], options()), { code: 'TOOL_MISSING', message: 'lsblk is not installed' })
})

t.test('a tool past its deadline is ended with what it started, and is TOOL_TIMEOUT', async t => {
  const runner = await withScript(t, 'sleep 300 & wait')
  const begun = Date.now()
  await t.rejects(runner.run('lsblk', [], options({ timeoutMs: 200 })), { code: 'TOOL_TIMEOUT' })
  t.ok(Date.now() - begun < 5000, 'the sleeping child does not hold the answer back')
})

t.test('an abort ends the tool and rejects with the reason of the signal', async t => {
  const runner = await withScript(t, 'sleep 300')
  const stop = new AbortController()
  setTimeout(() => { stop.abort(new Error('stopped by the user')) }, 100)
  await t.rejects(runner.run('lsblk', [], options({ signal: stop.signal })), { message: 'stopped by the user' })
})

t.test('a signal that is aborted before starts nothing', async t => {
  const folder = t.testdir({})
  const runner = await withScript(t, `touch ${join(folder, 'ran')}`)
  await t.rejects(runner.run('lsblk', [], options({ signal: AbortSignal.abort() })), { name: 'AbortError' })
})

t.test('the environment is fixed and nothing is inherited', async t => {
  process.env['LANDFALL_TEST_SECRET'] = 'inherited'
  t.teardown(() => { delete process.env['LANDFALL_TEST_SECRET'] })
  const runner = await withScript(t, 'echo "$LC_ALL|$LANDFALL_TEST_SECRET|$HOME|$EXTRA"')
  const r = await runner.run('lsblk', [], options({ env: { EXTRA: 'given' } }))
  t.equal(r.stdout, 'C|||given\n')
})

t.test('the input reaches the tool and standard input is closed after it', async t => {
  const runner = await withScript(t, 'cat; echo end')
  t.equal((await runner.run('lsblk', [], options({ input: 'label: gpt\n' }))).stdout, 'label: gpt\nend\n')
  t.equal((await runner.run('lsblk', [], options())).stdout, 'end\n')
})

t.test('arguments reach the tool as they are, without a shell', async t => {
  const runner = await withScript(t, 'for a in "$@"; do echo "[$a]"; done')
  t.equal((await runner.run('lsblk', ['$HOME', 'a b', '*', ';ls'], options())).stdout, '[$HOME]\n[a b]\n[*]\n[;ls]\n')
})

t.test('output beyond the limit is a failure, not a loss', async t => {
  const runner = await withScript(t, 'head -c 9000000 /dev/zero')
  await t.rejects(runner.run('lsblk', [], options()), { code: 'TOOL_FAILED', message: /wrote more than/ })
})
