import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { NODE } from '../../lab/paths.ts'
import { differences } from '../../oracle.ts'
import { mountLoop, MOUNT_SKIP } from '../../zoo/loop-file-system.ts'
import { buildZoo, tameZoo } from '../../zoo/zoo.ts'

const MAIN = new URL('../../lab/main.ts', import.meta.url).pathname
const Verified = z.object({ files: z.number(), filesCompared: z.number(), bytesCompared: z.number(), differences: z.number(), moving: z.number(), found: z.number(), repaired: z.number() })
const Line = z.looseObject({ record: z.string() })

const lab = async (...args: string[]) => await execa(NODE, [MAIN, ...args], { reject: false, stdin: 'ignore', timeout: 60_000 })
const lines = (report: string): z.infer<typeof Line>[] => readFileSync(report, 'utf8').trimEnd().split('\n').map(line => Line.parse(JSON.parse(line)))

function trees(t: Test): { source: string, replica: ReturnType<typeof mountLoop>, report: string } {
  const from = mountLoop('ext4', 128)
  t.teardown(() => { tameZoo(from.path); from[Symbol.dispose]() })
  const replica = mountLoop('ext4', 128)
  t.teardown(() => { replica.remount('rw'); tameZoo(replica.path); replica[Symbol.dispose]() })
  const base = mkdtempSync(join(tmpdir(), 'landfall-report-'))
  t.teardown(() => { rmSync(base, { recursive: true }) })
  return { source: from.path, replica, report: join(base, 'report') }
}

/** Change times of all that is there. */
const changeTimes = (root: string): string => execFileSync('find', [root, '-printf', '%C@ %p\\n'], { encoding: 'utf8' })

t.test('a verification writes nothing to the replica, which may be read-only, and names what differs in its report', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, report } = trees(t)
  buildZoo(source)
  t.equal((await lab('mirror', source, replica.path)).exitCode, 0)
  const before = changeTimes(replica.path)
  const clean = await lab('mirror', source, replica.path, '--verify', 'data', '--report', report, '--json')
  t.equal(clean.exitCode, 0, clean.stderr)
  t.match(Verified.parse(JSON.parse(clean.stdout)), { differences: 0, moving: 0 })
  t.same(lines(report).map(line => line.record), ['start', 'end'])
  t.equal(changeTimes(replica.path), before)
  chmodSync(join(replica.path, 'data'), 0o700)
  replica.remount('ro')
  for (const by of ['attributes', 'data']) {
    const found = await lab('mirror', source, replica.path, '--verify', by, '--report', report, '--json')
    t.equal(found.exitCode, 7, found.stderr)
    t.equal(Verified.parse(JSON.parse(found.stdout)).differences, 1)
    t.match(lines(report), [
      { record: 'start', by, repair: false, startedAtUtc: String }, { record: 'difference', path: 'data', pathBase64: Buffer.from('data').toString('base64'), aspects: [{ what: 'mode', replica: '0700' }] },
      { record: 'end', status: 'complete', differences: 1 },
    ])
  }
})

t.test('every one of 20,000 missing names has a line in the report', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, report } = trees(t)
  const names = Array.from({ length: 20_000 }, (_, i) => `missing-${String(i).padStart(5, '0')}`)
  for (const name of names) writeFileSync(join(source, name), '')
  execFileSync('touch', ['-r', source, replica.path])
  const found = await lab('mirror', source, replica.path, '--verify', 'attributes', '--report', report, '--json')
  t.equal(found.exitCode, 7, found.stderr)
  t.equal(Verified.parse(JSON.parse(found.stdout)).differences, names.length)
  const told = lines(report)
  t.match([told[0], told.at(-1)], [{ record: 'start' }, { record: 'end', status: 'complete', differences: names.length }])
  const missing = told.slice(1, -1).map(line => line.record === 'difference' && line['round'] === 1 ? `${String(line['path'])} ${JSON.stringify(line['aspects'])}` : line.record)
  t.ok(missing.sort().join('\n') === names.map(name => `${name} [{"what":"missing"}]`).join('\n'), 'each name once, and nothing else')
})

t.test('what a repair mends is proven by a second look, and orphans are its business only when they are to go', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, report } = trees(t)
  mkdirSync(join(source, 'dir'))
  writeFileSync(join(source, 'dir/file'), randomBytes(400_000))
  t.equal((await lab('mirror', source, replica.path)).exitCode, 0)
  execFileSync('dd', ['if=/dev/zero', `of=${join(replica.path, 'dir/file')}`, 'bs=1', 'count=5', 'seek=70000', 'conv=notrunc'], { stdio: 'ignore' })
  execFileSync('touch', ['-r', join(source, 'dir/file'), join(replica.path, 'dir/file')])
  writeFileSync(join(replica.path, 'orphan'), 'x')
  const kept = await lab('mirror', source, replica.path, '--verify', 'data', '--repair', '--report', report, '--json')
  t.equal(kept.exitCode, 7, kept.stderr)
  t.match(Verified.parse(JSON.parse(kept.stdout)), { differences: 1, repaired: 2, found: 3 }, 'content, and the root that the orphan touched')
  t.match(lines(report).filter(line => line.record === 'difference' && line['round'] === 2), [{ path: 'orphan', aspects: [{ what: 'extra' }] }])
  const gone = await lab('mirror', source, replica.path, '--verify', 'data', '--repair', '--orphans', 'delete', '--report', report, '--json')
  t.equal(gone.exitCode, 0, gone.stderr)
  t.same(await differences(source, replica.path), [])
})

t.test('a report that cannot be written, or lies in a tree, and wrong use end with a code', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, report } = trees(t)
  writeFileSync(join(source, 'file'), 'x')
  const cases: [string[], number, RegExp][] = [
    [['--verify', 'data', '--report', '/dev/full'], 7, /REPORT_NOT_WRITTEN/],
    [['--verify', 'data', '--report', join(report, 'no/where')], 7, /REPORT_NOT_WRITTEN/],
    [['--verify', 'data', '--report', join(replica.path, 'report')], 2, /REQUEST_INVALID/],
    [['--verify', 'data'], 2, /--report/],
    [['--report', report], 2, /--verify/],
    [['--verify', 'guess', '--report', report], 2, /verify/],
  ]
  for (const [args, exitCode, message] of cases) {
    const ran = await lab('mirror', source, replica.path, ...args)
    t.equal(ran.exitCode, exitCode, args.join(' '))
    t.match(ran.stderr, message)
  }
})

t.test('progress is told in lines on standard error, and ends at 100 %', { skip: MOUNT_SKIP }, async t => {
  const { source, replica } = trees(t)
  writeFileSync(join(source, 'file'), randomBytes(30 << 20))
  const ran = await lab('mirror', source, replica.path, '--progress', '--json')
  t.equal(ran.exitCode, 0, ran.stderr)
  const shares = ran.stderr.split('\n').flatMap(line => /^([\d.]+) %: found \d+\+? files, \d+ bytes; done \d+, \d+; skipped \d+, \d+; remaining \d+, \d+$/.exec(line)?.[1] ?? []).map(Number)
  t.ok(shares.length >= 2)
  t.equal(shares.at(-1), 100)
  t.ok(shares.slice(0, -1).every(share => share < 100))
})
