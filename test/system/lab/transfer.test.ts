import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { differences } from '../../oracle.ts'
import { NODE, PROJECT, RUNS, WRITER } from '../../lab/paths.ts'
import { CODES } from '../../../src/errors/codes.ts'
import { waitUntil } from '../../lab/process-identity.ts'
import { tool } from '../../lab/tool.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const MAIN = new URL('../../lab/main.ts', import.meta.url).pathname
const LIMIT_MS = 120_000

const Result = z.object({ files: z.number(), bytesSent: z.number(), bytesSkipped: z.number(), durationMs: z.number(), findings: z.array(z.object({ code: z.string(), subject: z.string() })) })
const Replicated = Result.extend({ changes: z.number(), latencyMsP50: z.number(), latencyMsP99: z.number(), latencyMsMax: z.number(), drainMs: z.number(), tier: z.string(), degradations: z.array(z.string()), agentCpuMs: z.number(), agentPeakBytes: z.number(), commandExitCode: z.number().nullable() })

/** Two directories on a disk beside the project: a tmpfs does not keep all that is tested. */
async function directories(t: Test): Promise<{ source: string, target: string, beside: string }> {
  await mkdir(RUNS, { recursive: true })
  const beside = await mkdtemp(join(PROJECT, '.lab/transfer-'))
  t.teardown(async () => {
    await execa('chattr', ['-R', '-i', '-a', beside], { reject: false })
    await rm(beside, { recursive: true, force: true })
  })
  const [source, target] = [join(beside, 'source'), join(beside, 'target')]
  await mkdir(source)
  await mkdir(target)
  return { source, target, beside }
}

const lab = async (...args: string[]) => await execa(NODE, [MAIN, ...args], { reject: false, stdin: 'ignore', timeout: LIMIT_MS })

async function assertEqual(t: Test, source: string, target: string): Promise<void> {
  t.strictSame(await differences(source, target), [], 'treecmp and rsync find nothing')
}

t.test('a directory with one of everything is mirrored as it is, and a second mirror sends next to nothing', async (t) => {
  const { source, target } = await directories(t)
  await tool('bash', [join(PROJECT, 'test/lab/image/zoo.sh'), join(source, 'zoo'), 'ext4'])
  const first = await lab('mirror', source, target, '--json')
  t.equal(first.exitCode, 0, first.stderr)
  const mirrored = Result.parse(JSON.parse(first.stdout))
  t.ok(mirrored.files > 600)
  t.strictSame(mirrored.findings, [])
  await assertEqual(t, source, target)
  const second = Result.parse(JSON.parse((await lab('mirror', source, target, '--compare', 'attributes', '--json')).stdout))
  t.ok(second.bytesSent < mirrored.bytesSent / 4, `${String(second.bytesSent)} of ${String(mirrored.bytesSent)} bytes`)
})

t.test('a mirror that was killed with all its processes goes on where it was when the command is given again', async (t) => {
  const { source, target } = await directories(t)
  const [files, sizeBytes] = [400, 100_000]
  for (let i = 0; i < files; i++) await writeFile(join(source, String(i)), randomBytes(sizeBytes))
  const killed = execa(NODE, [MAIN, 'mirror', source, target, '--bandwidth', '8000000'], { reject: false, stdin: 'ignore' })
  t.teardown(() => { killed.kill('SIGKILL') })
  await waitUntil('three quarters of the files', LIMIT_MS, async () => (await readdir(target)).length > files * 0.75)
  killed.kill('SIGKILL')
  t.equal((await killed).signal, 'SIGKILL')
  // the next run ends the agent and the receiver that the killed one left
  const again = await lab('mirror', source, target, '--compare', 'attributes', '--json')
  t.equal(again.exitCode, 0, again.stderr)
  const { bytesSent, bytesSkipped } = Result.parse(JSON.parse(again.stdout))
  t.ok(bytesSent < files * sizeBytes / 2, `${String(bytesSent)} bytes`)
  t.ok(bytesSent > 0)
  t.ok(bytesSkipped > files * sizeBytes / 2, `${String(bytesSkipped)} bytes`)
  await assertEqual(t, source, target)
})

t.test('orphans stay or go, as is asked', async (t) => {
  const { source, target } = await directories(t)
  await writeFile(join(source, 'kept'), 'kept\n')
  await writeFile(join(target, 'orphan'), 'orphan\n')
  t.equal((await lab('mirror', source, target)).exitCode, 0)
  t.strictSame((await readdir(target)).sort(), ['kept', 'orphan'])
  t.equal((await lab('mirror', source, target, '--orphans', 'delete', '--compare', 'data')).exitCode, 0)
  t.strictSame(await readdir(target), ['kept'])
})

t.test('what a command writes is replicated, and the result is equal when it has ended', async (t) => {
  const { source, target, beside } = await directories(t)
  await mkdir(join(source, 'data/db'), { recursive: true })
  await writeFile(join(source, 'data/db/table.ibd'), Buffer.alloc(1 << 20, 7))
  const ran = await lab('replicate', source, target, '--json', '--', 'timeout', '--preserve-status', '8', 'python3', WRITER, '--root', source, '--record', join(beside, 'record'), '--rate', '80')
  t.equal(ran.exitCode, 0, ran.stderr)
  const result = Replicated.parse(JSON.parse(ran.stdout))
  t.ok(result.changes > 50)
  t.ok(result.latencyMsP99 >= result.latencyMsP50)
  t.ok(result.latencyMsMax >= result.latencyMsP99)
  t.ok(result.latencyMsMax > 0)
  t.match(result.tier, /^[AB]$/)
  t.strictSame(result.degradations, [])
  t.ok(result.agentCpuMs > 0)
  t.ok(result.agentPeakBytes > 1 << 20)
  t.equal(result.commandExitCode, 0)
  await assertEqual(t, source, target)
})

t.test('with --freeze the source is frozen for the drain and thaws, and what goes on writing loses nothing until then', { skip: MOUNT_SKIP }, async (t) => {
  using source = mountLoop('ext4')
  using target = mountLoop('ext4')
  const replica = join(target.path, 'replica')
  // goes on behind the command's end, and through the freeze
  const ran = await lab('replicate', source.path, replica, '--json', '--freeze', '--', 'sh', '-c', `(for i in $(seq 500); do echo $i > ${source.path}/$i; sleep 0.02; done) >/dev/null 2>&1 & sleep 1`)
  t.equal(ran.exitCode, 0, ran.stderr)
  const { frozenMs } = Replicated.extend({ frozenMs: z.number() }).parse(JSON.parse(ran.stdout))
  t.ok(frozenMs > 0)
  t.comment({ frozenMs })
  await writeFile(join(source.path, 'after'), 'it has thawed\n')
  await waitUntil('the writer to end', 60_000, async () => (await readdir(source.path)).includes('500'))
  const numbers = async (path: string): Promise<number[]> => (await readdir(path)).map(Number).filter(Number.isInteger).sort((a, b) => a - b)
  const arrived = await numbers(replica)
  t.ok(arrived.length > 0)
  t.strictSame(arrived, (await numbers(source.path)).slice(0, arrived.length), 'all of one moment')
  t.equal((await lab('replicate', join(source.path, 'lost+found'), join(target.path, 'other'), '--freeze', '--', 'true')).exitCode, CODES.FREEZE_FAILED.exitCode, 'a directory that is no mount point is refused')
})

t.test('a script in the stream runs when what the command wrote is there, and its output is told', async (t) => {
  const { source, target, beside } = await directories(t)
  const script = join(beside, 'task')
  await writeFile(script, `#!/bin/sh\ncat ${join(target, 'last')}\nexit 4\n`, { mode: 0o700 })
  const ran = await lab('replicate', source, target, '--json', '--task', script, '--', 'sh', '-c', `echo last > ${join(source, 'last')}`)
  t.equal(ran.exitCode, 0, ran.stderr)
  t.match(JSON.parse(ran.stdout), { task: { script, exitCode: 4, timedOut: false, output: 'last\n' } })
})

t.test('a command that fails is told by the exit code, and what it wrote is there', async (t) => {
  const { source, target } = await directories(t)
  const ran = await lab('replicate', source, target, '--json', '--', 'sh', '-c', `echo last > ${join(source, 'last')}; exit 3`)
  t.equal(ran.exitCode, 1)
  t.equal(Replicated.parse(JSON.parse(ran.stdout)).commandExitCode, 3)
  t.equal(await readFile(join(target, 'last'), 'utf8'), 'last\n')
})

t.test('wrong use is told in one sentence, with the exit code of the table', async (t) => {
  const { source, target, beside } = await directories(t)
  const cases: [string[], number, RegExp][] = [
    [['mirror', join(beside, 'nowhere'), target], 3, /SOURCE_MISSING/],
    [['mirror', source, join(beside, 'no', 'where')], 3, /REPLICA_ROOT_MISSING/],
    [['mirror', source, join(source, '.')], 2, /REQUEST_INVALID/],
    [['mirror', source, target, '--compare', 'guess'], 2, /compare/],
    [['mirror', source], 2, /dst/],
    [['replicate', source, target], 2, /needs a command/],
    [['unknown'], 2, /unknown command/],
  ]
  for (const [args, exitCode, message] of cases) {
    const ran = await lab(...args)
    t.equal(ran.exitCode, exitCode, args.join(' '))
    t.match(ran.stderr, message)
    t.equal(ran.stdout, '')
    t.notMatch(ran.stderr, /\n\s+at /, 'no stack')
  }
})
