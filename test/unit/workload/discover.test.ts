import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { AppError } from '../../../src/errors/app-error.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { Workload } from '../../../src/domain/workload.ts'
import { discoverWorkload } from '../../../src/workload/discover.ts'
import { propertyRuns } from '../../seed.ts'

/** Answers every tool with the same text. */
const answering = (text: string): Runner => ({ run: async () => ({ stdout: text, stderr: '', exitCode: 0, durationMs: 0 }) })
const missing: Runner = { run: async tool => { throw new AppError('TOOL_MISSING', `${tool} is not installed`) } }

function places(directory: string): { kernel: { proc: string, sys: string, dev: string }, root: string } {
  return { root: join(directory, 'root'), kernel: { proc: join(directory, 'proc'), sys: join(directory, 'sys'), dev: join(directory, 'dev') } }
}

t.test('a server without any tool, kernel or file is described with findings', async t => {
  const found = Workload.parse(await discoverWorkload({ ...places(t.testdir({ root: {} })), runner: missing, signal: AbortSignal.timeout(10_000) }))
  t.match(found, { volumes: [], disks: [], adapters: [], capture: { tier: 'none' } })
  const codes = new Set(found.findings.map(f => f.code))
  for (const code of ['DISCOVERY_INCOMPLETE', 'ROOT_VOLUME_UNKNOWN', 'KERNEL_MISSING', 'OS_UNKNOWN', 'HOST_NAME_UNKNOWN', 'HARDWARE_UNKNOWN']) t.ok(codes.has(code), code)
})

t.test('the capture is as its check says; a check that fails is a finding', async t => {
  const common = { ...places(t.testdir({ root: {} })), runner: missing, signal: AbortSignal.timeout(10_000) }
  t.match(await discoverWorkload({ ...common, probeCapture: async () => ({ tier: 'A', reason: '', unseen: [] }) }), { capture: { tier: 'A' } })
  const failing = await discoverWorkload({ ...common, probeCapture: async () => { throw new AppError('CAPTURE_UNSUPPORTED', 'kernel too old') } })
  t.match(failing.capture, { tier: 'none' })
  t.ok(failing.findings.some(f => f.subject === 'capture of changes'))
})

t.test('an abort ends it', async t => {
  const common = { ...places(t.testdir({ root: {} })), runner: missing }
  await t.rejects(discoverWorkload({ ...common, signal: AbortSignal.abort() }), { name: 'AbortError' })
  const stop = new AbortController()
  const stopping: Runner = { run: async () => { stop.abort(); throw new AppError('TOOL_FAILED', 'ended') } }
  await t.rejects(discoverWorkload({ ...common, runner: stopping, signal: stop.signal }), { name: 'AbortError' })
})

const FILES = ['etc/fstab', 'etc/os-release', 'etc/hostname', 'etc/machine-id', 'etc/resolv.conf', 'boot/grub/grub.cfg', 'boot/vmlinuz-1', 'lib/modules/1/modules.dep', 'bin/sh']
const KERNEL_FILES = ['self/mountinfo', 'cpuinfo', 'meminfo']

t.test('whatever stands in files and tools\' answers, there is a valid description', async t => {
  const directory = t.testdir({})
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 300 }).map(b => Buffer.from(b)), fc.string({ maxLength: 200 }).map(s => Buffer.from(s)),
    fc.constantFrom('1 1 8:0 / /x rw - ext4 /dev/x rw', 'processor : 0\nphysical id : 1\n', 'MemTotal: 99999999999999999999 kB', 'UUID=\\777 / x', '{}', '[]', 'null').map(s => Buffer.from(s)))
  const answer = fc.oneof(fc.json(), fc.string(), fc.constantFrom('[{}]', '{"blockdevices":[]}', '{"blockdevices":[{"kname":"a","pkname":"a","maj:min":"8:0","type":"part","size":-5,"log-sec":1.5,"rm":true,"ro":false}]}'))
  let run = 0
  await fc.assert(fc.asyncProperty(fc.array(bytes, { minLength: FILES.length + KERNEL_FILES.length, maxLength: FILES.length + KERNEL_FILES.length }), answer, async (contents, text) => {
    run += 1
    const where = places(join(directory, String(run)))
    const paths = [...FILES.map(f => join(where.root, f)), ...KERNEL_FILES.map(f => join(where.kernel.proc, f))]
    for (const [i, path] of paths.entries()) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, contents[i] ?? '')
    }
    Workload.parse(await discoverWorkload({ ...where, runner: answering(text), signal: AbortSignal.timeout(30_000) }))
  }), propertyRuns(60))
})

t.test('directories, loops and pipes where files should be do no harm', async t => {
  const directory = t.testdir({ root: { etc: { fstab: {}, hostname: {} }, boot: { 'vmlinuz-1': {}, grub: { 'grub.cfg': {} } }, lib: {} } })
  symlinkSync('os-release', join(directory, 'root/etc/os-release'))
  symlinkSync('/dev/zero', join(directory, 'root/etc/machine-id'))
  symlinkSync('../../../../proc/kmsg', join(directory, 'root/etc/resolv.conf'))
  Workload.parse(await discoverWorkload({ ...places(directory), runner: missing, signal: AbortSignal.timeout(10_000) }))
})
