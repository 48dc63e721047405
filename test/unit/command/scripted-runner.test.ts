import t from 'tap'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'
import type { RunOptions } from '../../../src/command/runner.ts'

const options = (more: Partial<RunOptions> = {}): RunOptions => ({ signal: AbortSignal.timeout(5000), timeoutMs: 1000, ...more })

t.test('a recording on disk is replayed with both its streams', async t => {
  const root = t.testdir({ lsblk: { small: {
    'run.json': JSON.stringify({ tool: 'lsblk', args: ['-J'], exitCode: 0, stdout: 'stdout', stderr: 'stderr' }), stdout: '{}\n', stderr: 'a warning\n',
  } } })
  const runner = await ScriptedRunner.open(root, ['lsblk/small'])
  t.match(await runner.run('lsblk', ['-J'], options()), { stdout: '{}\n', stderr: 'a warning\n', exitCode: 0 })
})

t.test('a call that no recording matches fails the test and names the call', async t => {
  const runner = new ScriptedRunner([{ tool: 'lsblk', args: ['-J'] }])
  await t.rejects(runner.run('lsblk', ['-b'], options()), { name: 'Error', message: 'no recorded run matches: lsblk ["-b"]' })
  await t.rejects(runner.run('blkid', ['-J'], options()), { message: /blkid/ })
})

t.test('runs that match alike are used in their order, the last one again and again', async t => {
  const runner = new ScriptedRunner([{ tool: 'blkid', args: [], exitCode: 2 }, { tool: 'blkid', args: [], stdout: 'ext4' }])
  await t.rejects(runner.run('blkid', [], options()), { code: 'TOOL_FAILED' })
  t.equal((await runner.run('blkid', [], options())).stdout, 'ext4')
  t.equal((await runner.run('blkid', [], options())).stdout, 'ext4')
})

t.test('an argument <any> matches what the caller passes there', async t => {
  const runner = new ScriptedRunner([{ tool: 'partx', args: ['--', '/dev/loop0', '<any>'] }])
  t.equal((await runner.run('partx', ['--', '/dev/loop0', '/run/x1'], options())).exitCode, 0)
  await t.rejects(runner.run('partx', ['--', '/dev/loop1', '/run/x1'], options()), { message: /no recorded run/ })
})

t.test('exit codes mean what they mean with the real runner', async t => {
  const runner = new ScriptedRunner([{ tool: 'e2fsck', args: [], exitCode: 1, stderr: 'errors corrected\n' }])
  t.equal((await runner.run('e2fsck', [], options({ allowedExitCodes: [1] }))).exitCode, 1)
  await t.rejects(runner.run('e2fsck', [], options()), { code: 'TOOL_FAILED', message: 'e2fsck exited 1: errors corrected' })
})

t.test('a missing tool and a deadline can be replayed', async t => {
  const runner = new ScriptedRunner([{ tool: 'ip', args: ['a'], error: 'TOOL_MISSING' }, { tool: 'ip', args: ['b'], error: 'TOOL_TIMEOUT' }])
  await t.rejects(runner.run('ip', ['a'], options()), { code: 'TOOL_MISSING' })
  await t.rejects(runner.run('ip', ['b'], options()), { code: 'TOOL_TIMEOUT' })
})

t.test('input is compared when the recording has one', async t => {
  const runner = new ScriptedRunner([{ tool: 'sfdisk', args: ['/dev/loop0'], input: 'label: gpt\n' }])
  await t.rejects(runner.run('sfdisk', ['/dev/loop0'], options({ input: 'label: dos\n' })), { message: /with input "label: dos/ })
  t.equal((await runner.run('sfdisk', ['/dev/loop0'], options({ input: 'label: gpt\n' }))).exitCode, 0)
})

t.test('calls are kept in order and unused recordings are told', async t => {
  const runner = new ScriptedRunner([{ tool: 'wipefs', args: ['/a'] }, { tool: 'wipefs', args: ['/b'] }])
  await runner.run('wipefs', ['/a'], options())
  t.match(runner.calls, [{ tool: 'wipefs', args: ['/a'] }])
  t.match(runner.unused(), [{ args: ['/b'] }])
})

t.test('an aborted signal replays nothing', async t => {
  const runner = new ScriptedRunner([{ tool: 'wipefs', args: ['/a'] }])
  await t.rejects(runner.run('wipefs', ['/a'], options({ signal: AbortSignal.abort() })), { name: 'AbortError' })
  t.equal(runner.calls.length, 0)
})
