/** What a hostile program of the source cannot do when it is run inside the replica's root: a small root of this machine's own programs, run for real. */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { runInRoot } from '../../../src/command/chroot.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { RunResult } from '../../../src/command/runner.ts'
import { waitUntil } from '../../lab/process-identity.ts'

const PROGRAMS = ['sh', 'env', 'cat', 'sleep', 'yes', 'mkdir', 'chroot', 'mount', 'mknod', 'unshare', 'setsid']
/** the longest that a program of another test may run in a root */
const OTHERS_MS = 600_000

function skipReason(): string | false {
  if (process.getuid?.() === 0 && existsSync('/usr/sbin/capsh')) return false
  if (process.env['REQUIRE_SYSTEM'] === '1') throw new Error('must run as root, with capsh installed')
  return 'needs root and capsh'
}

/** The programs with the libraries that they load. */
function smallRoot(root: string): string {
  for (const folder of ['usr/bin', 'proc', 'dev', 'tmp']) mkdirSync(join(root, folder), { recursive: true })
  symlinkSync('usr/bin', join(root, 'bin'))
  for (const name of PROGRAMS) {
    const program = realpathSync(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim())
    cpSync(program, join(root, 'usr/bin', name))
    for (const [library] of execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/\/[^ \n]+/g)) {
      mkdirSync(join(root, dirname(library)), { recursive: true })
      cpSync(realpathSync(library), join(root, library))
    }
  }
  return root
}

/** Processes of this machine that have the word among their arguments. */
function processesWith(word: string): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try { return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(word) } catch { return false }
  })
}

const groups = (): string[] => ['', 'pids', 'memory'].flatMap(h => existsSync(join('/sys/fs/cgroup', h)) ? readdirSync(join('/sys/fs/cgroup', h)).filter(n => n.startsWith('landfall-guest-')) : [])

t.test('a hostile program in the replica\'s root', { skip: skipReason() }, async t => {
  const root = smallRoot(t.testdir())
  const run = async (script: string, timeoutMs = 60_000): Promise<RunResult> => runInRoot(new ExecaRunner(), root, 'sh', ['-c', script], { timeoutMs, allowedExitCodes: [0, 1, 2, 32, 125, 126, 127] }, AbortSignal.timeout(120_000))

  await t.test('cannot set what the kernel starts outside of its root', async t => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    const { stdout } = await run('for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/sysrq-trigger; do (cat "$f" > /tmp/same; cat /tmp/same > "$f") 2>/dev/null && echo "$f"; done; echo end')
    t.equal(stdout, 'end\n')
    t.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), pattern)
  })

  await t.test('has no network but an interface that is down', async t => {
    const { stdout } = await run('while read -r name rest; do case $name in *:) echo "$name";; esac; done < /proc/net/dev; cat /proc/net/route')
    t.same(stdout.split('\n').filter(line => line !== '' && !line.startsWith('Iface')), ['lo:'])
  })

  await t.test('cannot mount, make devices, change its root, or become more in a namespace of its own', async t => {
    const { stdout } = await run('mount -t tmpfs x /tmp && echo mounted; mount -o remount,rw /proc && echo remounted; mknod /tmp/disk b 7 0 && echo made; mkdir /tmp/x; chroot /tmp/x / && echo chrooted; unshare --user --map-root-user true && echo unshared; unshare --mount true && echo unshared; echo end')
    t.equal(stdout, 'end\n')
  })

  await t.test('sees no process and no mount of the appliance', async t => {
    const { stdout } = await run('cd /proc; for p in [0-9]*; do echo "process"; done; while read -r device point rest; do echo "$point"; done < /proc/self/mounts; kill -9 -1')
    t.same(stdout.split('\n').filter(Boolean), ['process', '/proc'])
  })

  await t.test('leaves nothing behind that goes on', async t => {
    const word = `3600.${String(process.pid)}1`
    const { exitCode } = await run(`setsid sleep ${word} & sleep ${word} & exit 0`)
    t.equal(exitCode, 0)
    t.same(processesWith(word), [])
  })

  await t.test('is ended when it writes without end, and when it does not end', async t => {
    const word = `y${String(process.pid)}`
    await t.rejects(run(`exec yes ${word}`), { code: 'TOOL_FAILED' })
    const started = Date.now()
    await t.rejects(run(`trap '' TERM HUP INT; while :; do sleep 3600.${word.slice(1)}2; done`, 1000), { code: 'TOOL_TIMEOUT' })
    t.ok(Date.now() - started < 60_000)
    t.same([...processesWith(word), ...processesWith(`3600.${word.slice(1)}2`)], [])
  })

  await t.test('cannot start processes without end', { skip: existsSync('/sys/fs/cgroup/cgroup.procs') || existsSync('/sys/fs/cgroup/pids') ? false : 'this machine has no control groups' }, async t => {
    const { exitCode, stderr } = await run('n=0; while [ "$n" -lt 2000 ]; do sleep 600 & n=$((n + 1)); done; echo all')
    t.not(exitCode, 0)
    t.match(stderr, /fork/i)
  })

  await t.test('and nothing of all this stays: no control group, no mount', async t => {
    // those of other tests, which run beside this one, go by themselves
    const there = groups()
    await waitUntil(`no group of ${there.join(', ')} to be left`, OTHERS_MS, () => !groups().some(name => there.includes(name)))
    t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), root)
  })
})
