/** Directories and files of a source turn into links to the outside, FIFOs and devices while the agent reads it: nothing outside is sent. */
import { join } from 'node:path'
import { joinRelPath } from '../../src/domain/rel-path.ts'
import t from 'tap'
import { isAppError } from '../../src/errors/app-error.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { listingEntries, type ListingPage } from '../../src/wire/listing-codec.ts'
import { MOUNT_SKIP, mountLoop } from '../zoo/loop-file-system.ts'
import { rel } from '../zoo/tree-pair.ts'
import { describeCanary, inodesOf, makeCanary, SECRET } from './canary.ts'
import { startSwapping } from './swapping.ts'

const RUN_MS = 4000
const signal = new AbortController().signal

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`nothing outside of the volume is read while names are exchanged under the agent: ${type}`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    const [inside, outside, parking] = ['inside', 'outside', 'parking'].map(name => join(volume.path, name)) as [string, string, string]
    makeCanary(outside)
    const before = describeCanary(outside)
    const foreign = inodesOf(outside)
    await using swapping = await startSwapping(inside, outside, parking)
    await using source = await openPosixSourceTree(inside, signal)
    const directories = ['', 'd', 'd/e', 'd/e/e'].map(rel)
    const files = ['d/a', 'd/b', 'd/e/a', 'd/e/b', 'd/e/e/a', `d/${SECRET}`, 'd/e/l', 'd/e/p'].map(rel)
    const names = ['a', 'b', 'e', 'l', 'p', SECRET].map(name => Buffer.from(name))
    const seen: string[] = []
    let [bytes, entries] = [0, 0]
    const sent = (batch: Buffer | undefined, what: string): void => {
      bytes += batch?.length ?? 0
      // the names that were asked for are ours; the content and the attribute are not
      if (batch?.includes(`${SECRET} `) === true || batch?.includes('user.canary') === true) seen.push(what)
    }
    const told = (page: ListingPage, what: string): void => {
      for (const entry of listingEntries(page)) {
        entries++
        if (foreign.has(entry.inode) || entry.name.includes(SECRET)) seen.push(`${what}: ${entry.name.toString()}`)
      }
    }
    const end = performance.now() + RUN_MS
    const tolerate = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        if (!isAppError(error)) throw error
      }
    }
    const readAll = async (smallFileBytes: number): Promise<void> => {
      while (performance.now() < end) {
        for await (const { page } of source.listAll(directories, signal)) told(page, 'listed')
        const whole = await source.readDirectories(directories, { smallFileBytes, maxBatchBytes: 1 << 20 }, signal)
        sent(whole.batch, 'read as a whole')
        for (const { page } of whole.directories) told(page, 'read as a whole')
        for (const directory of directories) await tolerate(async () => { sent((await source.read(names.map(name => joinRelPath(directory, name)), { smallFileBytes, maxBatchBytes: 1 << 20 }, signal)).batch, 'read') })
        for (const path of files) {
          await tolerate(async () => {
            await using opened = await source.openFile(path, signal)
            sent(await opened.read(0, 65536, signal), 'opened')
            sent(await opened.readWrites([{ offset: 0, lengthBytes: 65536 }], signal), 'opened')
            sent(await opened.metadata(signal), 'opened')
          })
          await tolerate(async () => { sent(await source.readMetadata(path, signal), 'metadata') })
          await tolerate(async () => {
            const page = await source.look(path, signal)
            if (page !== undefined) told(page, 'looked at')
          })
        }
      }
    }
    await Promise.all([readAll(65536), readAll(65536), readAll(100)])
    const swaps = await swapping.stop()
    t.comment(`${String(swaps)} swaps, ${String(bytes)} bytes, ${String(entries)} entries`)
    t.ok(swaps > 200, `${String(swaps)} swaps`)
    t.ok(bytes > 100_000 && entries > 500, 'much was read')
    t.same([...new Set(seen)], [], 'nothing of the outside was sent')
    t.same(describeCanary(outside), before, 'nor touched')
  })
}
