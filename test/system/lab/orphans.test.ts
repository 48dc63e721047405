import t, { type Test } from 'tap'
import { execa } from 'execa'
import { link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NODE, PROJECT } from '../../lab/paths.ts'
import { differences } from '../../oracle.ts'
import { tool } from '../../lab/tool.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const MAIN = join(PROJECT, 'test/lab/main.ts')
const lab = async (...args: string[]) => await execa(NODE, [MAIN, ...args], { reject: false, stdin: 'ignore', timeout: 300_000 })

async function directories(t: Test): Promise<{ base: string, source: string, target: string }> {
  const base = await mkdtemp(join(tmpdir(), 'landfall-orphans-'))
  t.teardown(async () => {
    await execa('chattr', ['-R', '-i', '-a', base], { reject: false })
    await rm(base, { recursive: true, force: true })
  })
  const [source, target] = [join(base, 'source'), join(base, 'target')]
  await mkdir(source)
  await mkdir(target)
  return { base, source, target }
}

/** Files that nobody else has, of several kinds. */
async function fillOrphans(root: string): Promise<void> {
  await mkdir(join(root, 'old/deep'), { recursive: true })
  await writeFile(join(root, 'old/deep/large'), randomBytes(700_000))
  await writeFile(join(root, 'old/small'), 'small')
  await link(join(root, 'old/small'), join(root, 'old/deep/small-too'))
  await symlink('nowhere', join(root, 'old/link'))
  await tool('mkfifo', [join(root, 'old/fifo')])
  await tool('setfattr', ['-n', 'user.note', '-v', 'kept', join(root, 'old/small')])
  await tool('chattr', ['+i', join(root, 'old/deep/large')])
}

for (const [where, mounted] of [['the same file system', false], ['another file system', true]] as const) {
  t.test(`orphans are moved faithfully to a folder on ${where}, and a second run puts others beside them`, { skip: MOUNT_SKIP }, async t => {
    const { base, source, target } = await directories(t)
    using volume = mounted ? mountLoop('ext4') : undefined
    const folder = join(volume?.path ?? base, 'set/aside')
    await mkdir(join(source, 'd'))
    await writeFile(join(source, 'd/kept'), 'kept')
    const orphans = join(base, 'orphans')
    await mkdir(orphans)
    await fillOrphans(orphans)
    await tool('cp', ['-a', `${orphans}/.`, target])
    await execa('chattr', ['+i', join(target, 'old/deep/large')])
    await mkdir(join(target, 'd'))
    await writeFile(join(target, 'd/old'), 'first')
    const first = await lab('mirror', source, target, '--orphans', 'move', '--orphans-folder', folder, '--json')
    t.equal(first.exitCode, 0, first.stderr)
    const said = JSON.parse(first.stdout) as { findings: unknown[], orphans: { moved: number, list: { path: string, fate: string }[] } }
    t.same(said.findings, [])
    t.equal(said.orphans.moved, 8)
    t.same(await differences(source, target), [])
    const [run = ''] = await readdir(folder)
    t.same((await readdir(join(folder, run))).sort(), ['d', 'old'])
    t.same(await differences(join(orphans, 'old'), join(folder, run, 'old')), [])
    await writeFile(join(target, 'd/old'), 'second')
    t.equal((await lab('mirror', source, target, '--orphans', 'move', '--orphans-folder', folder)).exitCode, 0)
    const runs = (await readdir(folder)).sort()
    t.equal(runs.length, 2)
    const contents = await Promise.all(runs.map(async one => (await tool('cat', [join(folder, one, 'd/old')])).stdout))
    t.same(contents.sort(), ['first', 'second'])
    await execa('chattr', ['-R', '-i', folder], { reject: false })
  })
}

t.test('what stands in the way of a file of the source is moved too', async t => {
  const { base, source, target } = await directories(t)
  await writeFile(join(source, 'x'), 'file')
  await mkdir(join(target, 'x/y'), { recursive: true })
  await writeFile(join(target, 'x/y/precious'), 'precious')
  t.equal((await lab('mirror', source, target, '--orphans', 'move', '--orphans-folder', join(base, 'aside'))).exitCode, 0)
  t.same(await differences(source, target), [])
  const [run = ''] = await readdir(join(base, 'aside'))
  t.equal((await tool('cat', [join(base, 'aside', run, 'x/y/precious')])).stdout, 'precious')
})

t.test('a folder inside the replica or the source is refused before anything is written, also through a link or a bind mount', { skip: MOUNT_SKIP }, async t => {
  const { base, source, target } = await directories(t)
  await writeFile(join(source, 'new'), 'new')
  await mkdir(join(target, 'inner'))
  await symlink(join(target, 'inner'), join(base, 'link'))
  await mkdir(join(base, 'bound'))
  await tool('mount', ['--bind', join(target, 'inner'), join(base, 'bound')])
  t.teardown(async () => { await execa('umount', [join(base, 'bound')], { reject: false }) })
  await writeFile(join(base, 'file'), '')
  for (const folder of [target, join(target, 'a/b'), join(base, 'link'), join(base, 'link/x'), join(base, 'bound'), join(base, 'bound/x/y'), join(source, 'x'), join(base, 'file')]) {
    const ran = await lab('mirror', source, target, '--orphans', 'move', '--orphans-folder', folder)
    t.equal(ran.exitCode, 2, `${folder}: ${ran.stderr}`)
    t.match(ran.stderr, /ORPHANS_FOLDER_INVALID/, folder)
    t.same((await readdir(target)).sort(), ['inner'])
  }
  await tool('umount', [join(base, 'bound')])
})

t.test('wrong rules and options are refused with their codes, and nothing is written', async t => {
  const { source, target } = await directories(t)
  await writeFile(join(source, 'new'), 'new')
  const cases: [string[], RegExp][] = [
    [['--exclude', '[a'], /RULE_INVALID/], [['--include', ''], /RULE_INVALID/], [['--exclude', '../x'], /RULE_INVALID/], [['--exclude', 'a//b'], /RULE_INVALID/], [['--include-flat', '\\q'], /RULE_INVALID/],
    [['--orphans-older-than', '7'], /REQUEST_INVALID/], [['--orphans-older-than', '-1d'], /REQUEST_INVALID/], [['--orphans', 'move'], /REQUEST_INVALID/], [['--orphans-folder', '/nowhere'], /REQUEST_INVALID/], [['--orphans', 'burn'], /orphans/],
  ]
  for (const [args, message] of cases) {
    const ran = await lab('mirror', source, target, ...args)
    t.equal(ran.exitCode, 2, args.join(' '))
    t.match(ran.stderr, message, args.join(' '))
    t.same(await readdir(target), [])
  }
})

t.test('replication obeys the rules: what is renamed out of them goes, what is renamed into them comes, excluded names of the replica stay', async t => {
  const { source, target } = await directories(t)
  await mkdir(join(source, 'a'))
  await mkdir(join(target, 'a'))
  await writeFile(join(source, 'a/x'), 'x')
  await writeFile(join(source, 'a/t.tmp'), 't')
  await writeFile(join(target, 'a/mine.tmp'), 'mine')
  const script = 'sleep 1; echo n > a/n.tmp; echo in > in; mkdir secret; echo s > secret/s; sleep 1; mv a/x a/x2.tmp; mv secret open; mv a b; sleep 1; mv b/t.tmp b/t'
  const ran = await lab('replicate', source, target, '--exclude', '*.tmp', '--exclude', '/secret', '--json', '--', 'sh', '-c', `cd ${source}; ${script}`)
  t.equal(ran.exitCode, 0, ran.stderr)
  t.same((await readdir(target, { recursive: true })).sort(), ['a', 'a/mine.tmp', 'b', 'b/t', 'in', 'open', 'open/s'])
})
