/** What tier A adds to the contract: ranges, of what no event of fanotify tells, too. On real file systems, with the programs of others. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Change, ChangeSource } from '../../src/capture/change-source.ts'
import { openFanotifyChangeSource, probeFanotify } from '../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { parseRelPath } from '../../src/domain/rel-path.ts'
import { AppError } from '../../src/errors/app-error.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { MOUNT_SKIP, mountLoop } from '../zoo/loop-file-system.ts'

type DataChange = Extract<Change, { kind: 'data' }>

const MIB = 1024 * 1024
const FILE_BYTES = 40 * MIB
const signal = AbortSignal.timeout(240_000)

function python(directory: string, code: string): void {
  execFileSync('python3', ['-c', `import mmap,os,sys\n${code}`], { cwd: directory })
}

/** Takes until a change of the file's data has come, for a second at most. */
async function dataOf(source: ChangeSource, name: string): Promise<DataChange | undefined> {
  for (const deadline = Date.now() + 1000; ;) {
    const changes = await source.take(signal)
    const found = changes.find((change): change is DataChange => change.kind === 'data' && change.path.toString() === name)
    if (found !== undefined || Date.now() > deadline) return found
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

/** How many bytes the ranges hold, when they hold all of this; undefined when they do not. */
function bytesAround(change: DataChange | undefined, offset: number, lengthBytes: number): number | undefined {
  if (change?.ranges === undefined) return undefined
  let at = offset
  for (const range of change.ranges) if (range.offset <= at) at = Math.max(at, range.offset + range.lengthBytes)
  return at >= offset + lengthBytes ? change.ranges.reduce((sum, range) => sum + Math.min(range.lengthBytes, FILE_BYTES + MIB - range.offset), 0) : undefined
}

/** name; what does it; which bytes must be among the ranges */
const STORES: readonly [string, string, number, number][] = [
  ['a store through mmap', 'm = mmap.mmap(os.open("big", os.O_RDWR), 0); m[7000000] = 7', 7_000_000, 1],
  ['MADV_POPULATE_WRITE', `m = mmap.mmap(os.open("big", os.O_RDWR), 0); m.madvise(23, ${String(8 * MIB)}, 65536)`, 8 * MIB, 65536],
  ['pwrite', 'os.pwrite(os.open("big", os.O_RDWR), b"x" * 5000, 30000000)', 30_000_000, 5000],
  ['a direct write', `os.pwritev(os.open("big", os.O_RDWR | os.O_DIRECT), [mmap.mmap(-1, 8192)], ${String(20 * MIB)})`, 20 * MIB, 8192],
  ['appending', 'f = open("big", "ab"); f.write(b"y" * 100000); f.close()', FILE_BYTES, 100_000],
  ['a truncation', `os.truncate("big", ${String(FILE_BYTES - 5 * MIB)})`, FILE_BYTES - 5 * MIB, 5 * MIB],
]

t.setTimeout(500_000)

for (const type of ['ext4', 'xfs'] as const) {
  void t.test(`ranges on ${type}`, { skip: MOUNT_SKIP, timeout: 240_000 }, async t => {
    using volume = mountLoop(type, 600)
    t.same(probeFanotify([volume.path]), { untraced: [] }, 'the trace is there')
    const big = join(volume.path, 'big')
    writeFileSync(big, Buffer.alloc(FILE_BYTES, 1))
    await using source = await openFanotifyChangeSource({ volumes: new Map([[5, volume.path]]), clock: systemClock }, signal)

    for (const [what, code, offset, lengthBytes] of STORES) {
      await t.test(`${what} is a change of data with its range`, async t => {
        writeFileSync(big, Buffer.alloc(FILE_BYTES, 1))
        execFileSync('sync', ['-f', big])
        await source.take(signal)
        python(volume.path, code)
        const bytes = bytesAround(await dataOf(source, 'big'), offset, lengthBytes)
        t.ok(bytes !== undefined && bytes <= 8 * MIB, `${String(bytes)} bytes around it`)
      })
    }

    for (const engine of ['libaio', 'io_uring'] as const) {
      await t.test(`direct writes by ${engine} are seen with their ranges while they go on`, async t => {
        await source.take(signal)
        const fio = spawn('fio', ['--name=job', `--filename=${big}`, `--ioengine=${engine}`, '--direct=1', '--rw=randwrite', '--bs=4k', '--iodepth=4', '--rate_iops=200', '--runtime=2', '--time_based', `--size=${String(8 * MIB)}`, '--allow_file_create=0', '--overwrite=1'], { cwd: volume.path, stdio: 'ignore' })
        const ended = once(fio, 'close')
        const seen: DataChange[] = []
        while (fio.exitCode === null) {
          const change = await dataOf(source, 'big')
          if (change !== undefined) seen.push(change)
        }
        await ended
        t.equal(fio.exitCode, 0)
        t.ok(seen.filter(change => change.ranges !== undefined && change.ranges.every(({ offset }) => offset < 8 * MIB)).length > 0, `${String(seen.length)} changes`)
      })
    }

    await t.test('a file that is mapped and was renamed is found under its new name', async t => {
      writeFileSync(join(volume.path, 'mapped'), Buffer.alloc(MIB))
      mkdirSync(join(volume.path, 'aside'))
      const writer = spawn('python3', ['-c', 'import mmap,os,sys\nm = mmap.mmap(os.open("mapped", os.O_RDWR), 0)\nprint("open", flush=True)\nsys.stdin.readline()\nm[9000] = 1\nprint("done", flush=True)\nsys.stdin.readline()'], { cwd: volume.path })
      await once(writer.stdout, 'data')
      execFileSync('sync', ['-f', volume.path])
      renameSync(join(volume.path, 'mapped'), join(volume.path, 'aside', 'moved'))
      await source.take(signal)
      writer.stdin.write('\n')
      await once(writer.stdout, 'data')
      t.ok(bytesAround(await dataOf(source, 'aside/moved'), 8192, 4096) !== undefined)
      writer.stdin.end('\n')
      await once(writer, 'close')
      rmSync(join(volume.path, 'aside'), { recursive: true })
    })

    await t.test('what is stored while it is read is never lost', async t => {
      const busy = join(volume.path, 'busy')
      writeFileSync(busy, Buffer.alloc(4 * MIB))
      await using tree = await openPosixSourceTree(volume.path, signal)
      const shadow = Buffer.alloc(4 * MIB)
      const bring = async (): Promise<number> => {
        const changes = await source.take(signal)
        for (const change of changes) {
          if (!('path' in change) || change.path.toString() !== 'busy') continue
          const ranges = change.kind === 'data' && change.ranges !== undefined ? change.ranges : [{ offset: 0, lengthBytes: 4 * MIB }]
          const [settled] = await tree.openSettled([{ path: parseRelPath(Buffer.from('busy')), ranges }], signal)
          if (settled === undefined || settled instanceof AppError) throw settled ?? new Error('not opened')
          await using file = settled.file
          const { extents } = settled
          for (const { offset, lengthBytes } of extents) (await file.read(offset, lengthBytes, signal)).copy(shadow, offset)
        }
        return changes.length
      }
      await bring()
      const writer = spawn('python3', ['-c', `import mmap,os,random,time
m = mmap.mmap(os.open("busy", os.O_RDWR), 0)
end = time.time() + 3
n = 0
while time.time() < end:
    n += 1
    at = random.randrange(${String(4 * MIB)} // 8) * 8
    m[at:at + 8] = n.to_bytes(8, "little")
    if n % 50 == 0: time.sleep(0.0005)
`], { cwd: volume.path, stdio: 'ignore' })
      const ended = once(writer, 'close')
      let rounds = 0
      while (writer.exitCode === null) {
        await bring()
        rounds++
      }
      await ended
      while (await bring() > 0);
      const now = Buffer.alloc(4 * MIB)
      const fd = openSync(busy, 'r')
      readSync(fd, now, 0, now.length, 0)
      closeSync(fd)
      t.ok(shadow.equals(now), `after ${String(rounds)} rounds`)
      t.ok(rounds > 3)
    })

    await t.test('its instance goes with it', async t => {
      const before = instances()
      const other = await openFanotifyChangeSource({ volumes: new Map([[1, volume.path]]), clock: systemClock }, signal)
      t.equal(instances(), before + 1)
      await other[Symbol.asyncDispose]()
      t.equal(instances(), before)
    })
  })

  void t.test(`without the trace of pages, on ${type}, files are told without ranges`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type, 400)
    writeFileSync(join(volume.path, 'f'), 'a')
    await using source = await openFanotifyChangeSource({ volumes: new Map([[5, volume.path]]), clock: systemClock, pages: false }, signal)
    writeFileSync(join(volume.path, 'f'), 'b')
    const change = await dataOf(source, 'f')
    t.ok(change !== undefined && change.ranges === undefined)
  })
}

/** Threads that read a trace, of this process: one for each capture that has one. */
function instances(): number {
  return Number(execFileSync('sh', ['-c', `cat /proc/${String(process.pid)}/task/*/comm | grep -c '^pages$' || true`]).toString())
}

void t.test('on a file system whose pages are not traced the tier says why', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64, 'data=journal')
  t.match(probeFanotify([volume.path]), { untraced: [/journal/] })
  t.ok(readFileSync('/proc/self/mountinfo', 'utf8').includes(volume.path))
})
