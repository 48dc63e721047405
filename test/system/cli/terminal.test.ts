/** The real command in a real pseudo terminal, which python3 makes. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { problem, startAppliance, type FakeAppliance } from '../../unit/cli/fake-appliance.ts'
import { jobView, mirroring, protecting, vmware } from '../../unit/cli/records.ts'

const CLI = join(import.meta.dirname, '../../../src/bin/cli.ts')
// the size is set so that lines are cut where the test expects it
const PTY = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
import select
inputs = [fd, 0]
while True:
    ready, _, _ = select.select(inputs, [], [])
    if 0 in ready:
        data = os.read(0, 1024)
        if data: os.write(fd, data)
        else: inputs.remove(0)
    if fd in ready:
        try: data = os.read(fd, 65536)
        except OSError: break
        if not data: break
        os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
`

/** Runs it; `replies` are typed when the text before them has appeared. */
async function inTerminal(appliance: FakeAppliance, args: readonly string[], replies: readonly (readonly [RegExp, string])[] = [], environment: Record<string, string> = {}): Promise<{ code: number | null, seen: string }> {
  const child = spawn('python3', ['-c', PTY, process.execPath, CLI, ...args], {
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', LANDFALL_URL: appliance.url, LANDFALL_CA: appliance.caFile, LANDFALL_TOKEN: 'x', ...environment }, timeout: 60_000, killSignal: 'SIGKILL',
  })
  let seen = ''
  const waiting = [...replies]
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
    const next = waiting[0]
    if (next?.[0].test(seen) === true) {
      waiting.shift()
      child.stdin.write(next[1])
    }
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { code, seen }
}

/** A mirror that goes on step by step, then protects. */
function watching(appliance: FakeAppliance, stayOpen: boolean): void {
  appliance.on('GET /jobs/x/events', response => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const steps = [mirroring(0), mirroring(400 * 2 ** 20), mirroring(900 * 2 ** 20), ...(stayOpen ? [] : [protecting()])]
    for (const step of steps) response.write(`event: job\ndata: ${JSON.stringify(step)}\n\n`)
  })
}

t.test('job watch rewrites one line with bar and percent', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  watching(appliance, false)
  const { code, seen } = await inTerminal(appliance, ['job', 'watch', 'x', '--until', 'protecting'])
  t.equal(code, 0, seen)
  t.match(seen, /mirroring {2}\[#+ +\] {2}40\.0 %/)
  t.match(seen, /\r\u001b\[Kmirroring {2}\[#+ +\] {2}90\.0 %/)
  t.match(seen, /\r\u001b\[Kprotecting {2}latency 120 ms.*\r\n$/)
  t.ok(seen.split(/[\r\n]+|\u001b\[K/).every(line => line.length < 100), 'no line is as wide as the terminal')
})

t.test('Ctrl-C ends job watch with 130 below its line', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  watching(appliance, true)
  const { code, seen } = await inTerminal(appliance, ['job', 'watch', 'x'], [[/90\.0 %/, '\u0003']])
  t.equal(code, 130, seen)
  t.match(seen, /\r\n$/)
  t.notMatch(seen, /error|at .*\.ts/)
})

t.test('a password is asked for without echo', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /vmware', { status: 201, body: vmware })
  const { code, seen } = await inTerminal(appliance, ['vmware', 'add', 'vc1', '--host', 'vc.example', '--user', 'admin'], [[/Password: $/, 'hidden-pw\r']])
  t.equal(code, 0, seen)
  t.notMatch(seen, /hidden-pw/)
  t.match(appliance.seen[0]?.body, { password: 'hidden-pw' })
})

t.test('Ctrl-C at a question ends with 130', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  t.equal((await inTerminal(appliance, ['vmware', 'add', 'vc1', '--host', 'vc.example', '--user', 'admin'], [[/Password: $/, '\u0003']])).code, 130)
  t.same(appliance.seen, [])
})

t.test('colours are used on a terminal, and not with NO_COLOR', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs', { status: 200, body: [jobView()] })
  t.match((await inTerminal(appliance, ['job', 'list'])).seen, /\u001b\[32mok\u001b\[0m/)
  t.notMatch((await inTerminal(appliance, ['job', 'list'], [], { NO_COLOR: '1' })).seen, /\u001b\[3/)
})

t.test('the exit code of a refusal is that of the process', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x', problem('JOB_NOT_FOUND', 'there is no job x'))
  t.match(await inTerminal(appliance, ['job', 'show', 'x']), { code: 3, seen: /there is no job x/ })
})
