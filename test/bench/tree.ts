/**
 * Lists, reads and applies 20,000 small files through the trees, against `tar | tar`, alternating; prints medians and ratios, of
 * elapsed time and of processor time (which says more on a busy machine).
 * Run by hand: `npx node test/bench/tree.ts [files] [rounds]`. One process does both ends here, where tar has two.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH, joinRelPath, type RelPath } from '../../src/domain/rel-path.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { listingEntries } from '../../src/wire/listing-codec.ts'
import { mountLoop } from '../zoo/loop-file-system.ts'

const [files = 20_000, rounds = 3] = process.argv.slice(2).map(Number)
const PER_DIRECTORY = 20
const OPTIONS = { smallFileBytes: 256 * 1024, maxBatchBytes: 1024 * 1024 }
const signal = new AbortController().signal
const print = (line: string): void => { process.stdout.write(`${line}\n`) }
const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN

function build(directory: string): void {
  for (let i = 0; i < files; i++) {
    const parent = join(directory, `d${String(Math.floor(i / PER_DIRECTORY / 30))}`, `e${String(Math.floor(i / PER_DIRECTORY))}`)
    if (i % PER_DIRECTORY === 0) mkdirSync(parent, { recursive: true })
    writeFileSync(join(parent, `file-${String(i)}.c`), Buffer.alloc(1024 + (i * 7919) % 15_000, 97 + i % 26))
  }
}

/** Milliseconds of each step; reading and applying overlap, as they do on two machines. */
async function ours(from: string, to: string): Promise<{ list: number, read: number, apply: number }> {
  const spent = { list: 0, read: 0, apply: 0 }
  await using source = await openPosixSourceTree(from, signal)
  await using target = await openPosixTargetTree(to, signal)
  const timed = async <T>(what: keyof typeof spent, work: () => Promise<T>): Promise<T> => {
    const start = performance.now()
    const result = await work()
    spent[what] += performance.now() - start
    return result
  }
  let applied: Promise<unknown> = Promise.resolve()
  const directories: RelPath[] = [ROOT_PATH]
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    const at = directory
    const pages = source.list(at, signal)[Symbol.asyncIterator]()
    for (let page = await timed('list', () => pages.next()); page.done !== true; page = await timed('list', () => pages.next())) {
      let names: Buffer[] = []
      for (const entry of listingEntries(page.value)) {
        names.push(entry.name)
        if (entry.type === 'directory') directories.push(joinRelPath(at, entry.name))
      }
      while (names.length > 0) {
        const { batch, taken } = await timed('read', () => source.read(names.map(name => joinRelPath(at, name)), OPTIONS, signal))
        names = names.slice(taken)
        await applied
        applied = timed('apply', () => target.apply(batch, signal))
      }
    }
  }
  await applied
  return spent
}

using volume = mountLoop('ext4', 2048)
const source = join(volume.path, 'source')
const replica = join(volume.path, 'replica')
mkdirSync(source)
build(source)
execFileSync('sync')
const tarTimes: number[] = []
const ourTimes: number[] = []
const tarCpu: number[] = []
const ourCpu: number[] = []
for (let round = 0; round < rounds; round++) {
  for (const who of ['tar', 'ours'] as const) {
    mkdirSync(replica)
    const start = performance.now()
    if (who === 'tar') {
      const times = execFileSync('bash', ['-c', 'tar --xattrs --acls -C "$0" -cf - . | tar --xattrs --acls -C "$1" -xpf -; cat /proc/$$/stat', source, replica], { encoding: 'utf8' })
      // children's user and system ticks of 10 ms, fields 16 and 17, counted behind the name in brackets
      const [user, system] = times.slice(times.lastIndexOf(')') + 2).split(' ').slice(13, 15).map(Number)
      tarCpu.push(((user ?? NaN) + (system ?? NaN)) * 10)
      tarTimes.push(performance.now() - start)
    } else {
      const before = process.cpuUsage()
      const spent = await ours(source, replica)
      const { user, system } = process.cpuUsage(before)
      ourCpu.push((user + system) / 1000)
      ourTimes.push(performance.now() - start)
      print(`  list ${spent.list.toFixed(0)} read ${spent.read.toFixed(0)} apply ${spent.apply.toFixed(0)} ms`)
    }
    rmSync(replica, { recursive: true })
    execFileSync('sync')
  }
}
print(`tar ${median(tarTimes).toFixed(0)} ms, ours ${median(ourTimes).toFixed(0)} ms (${(files / median(ourTimes) * 1000).toFixed(0)} files/s): ${(median(tarTimes) / median(ourTimes)).toFixed(2)} times as fast`)
print(`processor: tar ${median(tarCpu).toFixed(0)} ms, ours ${median(ourCpu).toFixed(0)} ms: ${(median(tarCpu) / median(ourCpu)).toFixed(2)} times less`)
