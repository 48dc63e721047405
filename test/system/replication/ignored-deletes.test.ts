/** Names that vanish on a source whose deletions are ignored: they stay on the replica, seen at once or found later; all else becomes equal. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { startReplication, type TransferOptions } from '../../lab/transfer.ts'
import { differences } from '../../oracle.ts'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { Protection, until } from '../source/restarting.ts'

const signal = AbortSignal.timeout(300_000)
const DIRECTORIES = 12

/** Directories of files, links and directories, some of which `vanish` takes away. */
function fill(root: string): void {
  for (let d = 0; d < DIRECTORIES; d++) {
    const directory = join(root, `d${String(d)}`)
    mkdirSync(join(directory, 'deep/deeper'), { recursive: true })
    for (const name of ['file', 'gone', 'replaced', 'deep/gone', 'deep/deeper/kept']) writeFileSync(join(directory, name), `${name} of ${String(d)}`.repeat(500))
    symlinkSync('file', join(directory, 'link'))
    linkSync(join(directory, 'file'), join(directory, 'second name'))
  }
}

/** Deletions of every kind, with changes of every kind among them. What is gone then, below the root. */
function vanish(root: string): string[] {
  const gone: string[] = []
  for (let d = 0; d < DIRECTORIES; d++) {
    const name = `d${String(d)}`
    const directory = join(root, name)
    if (d % 3 === 0) {
      gone.push(name, ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(below => join(name, below)))
      rmSync(directory, { recursive: true })
      continue
    }
    for (const one of ['gone', 'deep/gone', 'link', 'second name']) {
      rmSync(join(directory, one))
      gone.push(join(name, one))
    }
    // something else under the same name: replaced, not kept
    rmSync(join(directory, 'replaced'))
    mkdirSync(join(directory, 'replaced'))
    appendFileSync(join(directory, 'file'), 'and more')
    writeFileSync(join(directory, 'deep/new'), 'new')
    renameSync(join(directory, 'deep/deeper'), join(directory, 'deep/renamed'))
  }
  return gone
}

/** What there is under a name, its data included. */
function look(path: string): string {
  const { mode, mtimeMs, uid } = lstatSync(path)
  const kind = mode & 0o170000
  return `${mode.toString(8)} ${String(uid)} ${kind === 0o100000 ? String(mtimeMs) : ''} ${kind === 0o120000 ? readlinkSync(path) : kind === 0o100000 ? readFileSync(path, 'utf8') : ''}`
}

interface Judged { source: string, replica: string, before: string, gone: readonly string[] }

/** What vanished is there as it was; all else is equal, as rsync tells when it need not delete, and with what vanished taken away it is equal in all. */
async function judge(t: Test, { source, replica, before, gone }: Judged): Promise<void> {
  t.ok(gone.length > DIRECTORIES * 4)
  t.same(gone.filter(name => existsSync(join(source, name))), [])
  t.same(gone.filter(name => !existsSync(join(replica, name)) && !isLink(join(replica, name))), [], 'nothing that vanished is deleted')
  // a second name of a file that goes on is that file
  const still = gone.filter(name => !(name.endsWith('second name') && existsSync(join(source, dirname(name)))))
  t.same(still.filter(name => look(join(replica, name)) !== look(join(before, name))), [], 'it is as it was')
  t.equal(execFileSync('rsync', ['-niaHAXS', '--checksum', '--exclude=/lost+found', `${source}/`, `${replica}/`], { encoding: 'utf8' }), '', 'all else is equal')
  // where it is not certain what the replica has under a name, a rename leaves the old one, too
  const renamed = gone.filter(name => name.endsWith('/deep/gone')).map(name => join(dirname(name), 'deeper'))
  for (const name of [...gone, ...renamed]) rmSync(join(replica, name), { recursive: true, force: true })
  t.same((await differences(source, replica)).filter(line => !/^\.d\.\.t\.+ |mtime|^treecmp exited/.test(line)), [], 'nothing else is left over')
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

for (const [what, type, options] of [
  ['seen at once', 'ext4', {}], ['seen at once', 'btrfs', {}],
  // most directories are not watched: what changes there is found when all is compared
  ['found by a rescan', 'xfs', { capture: 'inotify', watches: 3 }],
] as const satisfies readonly (readonly [string, LoopType, Partial<TransferOptions>])[]) {
  void t.test(`names that vanish stay on the replica when deletions are ignored, ${what} on ${type}`, { skip: MOUNT_SKIP }, async t => {
    using source = mountLoop(type)
    using target = mountLoop(type)
    const [replica, before] = [join(target.path, 'replica'), join(target.path, 'before')]
    mkdirSync(replica)
    fill(source.path)
    execFileSync('cp', ['-a', source.path, before])
    await using replication = await startReplication({
      source: source.path, target: replica, request: { compare: 'none', orphans: 'keep' }, transmissions: [{ afterMs: 0, how: { compression: 'off', ignoreDeletes: true } }], ...options,
    }, signal)
    const gone = vanish(source.path)
    const drained = await replication.drain(true)
    t.same(drained.findings, [])
    await judge(t, { source: source.path, replica, before, gone })
  })
}

void t.test('names that vanish while the agent is killed stay on the replica when deletions are ignored', { skip: MOUNT_SKIP }, async t => {
  await using stack = new AsyncDisposableStack()
  const base = mkdtempSync(join(tmpdir(), 'landfall-ignored-'))
  stack.defer(() => { rmSync(base, { recursive: true, force: true }) })
  const source = stack.use(mountLoop('ext4')).path
  const target = stack.use(mountLoop('ext4')).path
  const [replica, before] = [join(target, 'replica'), join(target, 'before')]
  mkdirSync(replica)
  fill(source)
  execFileSync('cp', ['-a', source, before])
  const protection = stack.use(await Protection.open({ base, source, replica, ignoreDeletes: true }, signal))
  const end = protection.keepRunning(stack)
  protection.startAgent()
  await until('protection', () => protection.isProtecting)
  await protection.endAgent('SIGKILL')
  const gone = vanish(source)
  protection.startAgent()
  await until('protection again', () => protection.isProtecting)
  t.ok(protection.seen.has('agent-crashed'))
  await end()
  await protection.drain(signal)
  t.equal(protection.mirrors, 1)
  await judge(t, { source, replica, before, gone })
})
