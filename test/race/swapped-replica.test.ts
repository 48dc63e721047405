/** Directories and files of a replica turn into links to the outside, FIFOs and devices while everything that a source may ask for is done there. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FileOperation } from '../../src/domain/file-operation.ts'
import { isAppError } from '../../src/errors/app-error.ts'
import { readMark, VOLUME_MARK, writeMark } from '../../src/posix/marks.ts'
import { closeTree, openTree } from '../../src/posix/posix.ts'
import { openAsideFolder } from '../../src/tree/posix-aside-folder.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { SetAsideTree } from '../../src/tree/set-aside-tree.ts'
import { listingEntries } from '../../src/wire/listing-codec.ts'
import { encodeOperations } from '../../src/wire/operation-codec.ts'
import { MOUNT_SKIP, mountLoop } from '../zoo/loop-file-system.ts'
import { directory, fifo, file, link, metadata, METADATA, rel, remove, rename, symlink, write, xattr } from '../zoo/tree-pair.ts'
import { describeCanary, inodesOf, makeCanary, SECRET } from './canary.ts'
import { randomNumbers } from './random-numbers.ts'
import { startSwapping } from './swapping.ts'
import { SEED } from '../seed.ts'

const RUN_MS = 4000
const ENOUGH_MOVED = 10
const MORE_MS = 30_000
const signal = new AbortController().signal

/** Files below; what of the canary is in one of them, or in an attribute, is noted in `seen`. Takes them away. */
function takeMoved(folder: string, seen: string[]): number {
  // Node's recursive readdir goes through links
  const files = execFileSync('find', [folder, '-type', 'f', '-print0'], { encoding: 'utf8' }).split('\0').filter(path => path !== '')
  for (const path of files) if (readFileSync(path, 'latin1').includes(`${SECRET} `)) seen.push(`moved ${path}`)
  if (execFileSync('getfattr', ['-Rhd', '--absolute-names', folder], { encoding: 'utf8' }).includes('user.canary')) seen.push('moved an attribute')
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })
  return files.length
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`nothing outside is touched or read while names are exchanged under the receiver: ${type} (SEED=${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    const [inside, outside, parking] = ['inside', 'outside', 'parking'].map(name => join(volume.path, name)) as [string, string, string]
    makeCanary(outside)
    const before = describeCanary(outside)
    const foreign = inodesOf(outside)
    await using swapping = await startSwapping(inside, outside, parking)
    await using target = await openPosixTargetTree(inside, signal)
    const marked = await openTree(inside, 'replica')
    const random = randomNumbers(SEED)
    const names = ['d', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/b', 'd/e/l', 'd/e/p', 'd/e/e', 'd/e/e/a', 'd/e/e/new', `d/e/${SECRET}`, 'x']
    const name = (): string => names[random(names.length)] ?? 'd'
    const evil = { uid: 99, gid: 99, mode: 0o6777, flags: 0x40, xattrs: [xattr('trusted.evil', 'x'), xattr('user.evil', 'x')] }
    const kinds: (() => FileOperation)[] = [
      () => file(name(), 'evil'), () => file(name(), 'evil', evil), () => ({ ...file(name(), ''), complete: false } as FileOperation), () => write(name(), 3, 'evil'),
      () => ({ kind: 'punch', path: rel(name()), offset: 0, lengthBytes: 8192 }), () => ({ kind: 'resize', path: rel(name()), sizeBytes: random(9000) }),
      () => symlink(name(), outside), () => symlink(name(), `${outside}/e`), () => symlink(name(), '../outside/e'), () => fifo(name()),
      () => ({ kind: 'node', path: rel(name()), nodeType: 'character', deviceMajor: 1, deviceMinor: 5, metadata: METADATA }),
      () => link(name(), name()), () => rename(name(), name()), () => remove(name()), () => metadata(name(), evil), () => directory(name(), evil),
      () => directory('d'), () => directory('d/e'), () => directory('d/e/e'), () => metadata('', { mode: 0o755 }),
    ]
    const seen: string[] = []
    const aside = join(volume.path, 'aside')
    mkdirSync(aside)
    let [applied, failed, pages, hashes, moved, stuck] = [0, 0, 0, 0, 0, 0]
    const end = performance.now() + RUN_MS
    // flushing what was moved takes its time: not before enough was
    const goesOn = (): boolean => performance.now() < end || (moved < ENOUGH_MOVED && performance.now() < end + MORE_MS)
    const operate = async (): Promise<void> => {
      while (goesOn()) {
        const { operations, failures } = await target.apply(encodeOperations(Array.from({ length: 60 }, () => (kinds[random(kinds.length)] ?? (() => remove('x')))())), signal)
        applied += operations - failures.length
        failed += failures.length
      }
    }
    const movable = ['d', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/b', 'd/e/e', 'x']
    // each time with a tree of its own: what could not be moved is stuck for good in one
    const moveAside = async (): Promise<void> => {
      while (goesOn()) {
        {
          await using moving = new SetAsideTree({
            target: await openPosixTargetTree(inside, signal), replica: await openPosixSourceTree(inside, signal), openFolder: async inner => await openAsideFolder(aside, Date.now(), inner),
          })
          const batch = encodeOperations(Array.from({ length: 6 }, () => ({ kind: 'set-aside', path: rel(movable[random(movable.length)] ?? 'd') })))
          stuck += (await moving.apply(batch, signal)).failures.filter(({ partial }) => !partial).length
        }
        moved += takeMoved(aside, seen)
      }
    }
    const ask = async (): Promise<void> => {
      const asked = names.filter(n => !n.includes(SECRET)).map(rel)
      while (performance.now() < end) {
        for await (const { page } of target.listAll(asked, signal)) {
          pages++
          for (const entry of listingEntries(page)) if (foreign.has(entry.inode)) seen.push(`listed ${entry.name.toString()} (inode ${String(entry.inode)})`)
        }
        for (const path of asked) {
          try {
            const hash = await target.blockHashes(path, 0, 65536, 4096, signal)
            hashes += hash.length
            if (forbidden.has(hash.subarray(0, 16).toString('hex'))) seen.push(`hashed ${path.toString()}`)
          } catch (error) {
            if (!isAppError(error)) throw error
          }
        }
        await writeMark(marked, VOLUME_MARK, 'race/0', false)
        if (await readMark(marked, VOLUME_MARK) !== 'race/0') seen.push('the mark is lost')
      }
    }
    await using spied = await openPosixTargetTree(outside, signal)
    const forbidden = new Set([(await spied.blockHashes(rel('a'), 0, 65536, 4096, signal)).subarray(0, 16).toString('hex')])
    await Promise.all([operate(), moveAside(), ask(), ask()])
    const swaps = await swapping.stop()
    closeTree(marked)
    t.comment(`${String(swaps)} swaps, ${String(applied)} applied, ${String(failed)} refused, ${String(pages)} pages, ${String(hashes)} bytes of hashes, ${String(moved)} files moved, ${String(stuck)} times not`)
    t.ok(swaps > 200, `${String(swaps)} swaps`)
    t.ok(applied > 500 && failed > 100, `${String(applied)} operations applied, ${String(failed)} refused`)
    t.ok(pages > 100 && hashes > 1000, 'listings and hashes were answered')
    t.ok(moved >= ENOUGH_MOVED, `${String(moved)} files moved`)
    t.same(seen, [], 'nothing of the outside was told')
    t.same(describeCanary(outside), before, 'nothing of the outside was changed')
    t.same(readdirSync(volume.path).sort().filter(n => n !== 'lost+found'), ['aside', 'inside', 'outside', 'parking'], 'nothing appeared beside the root')
  })
}
