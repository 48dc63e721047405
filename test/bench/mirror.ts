/** Mirror against rsync and tar: the same work, alternating, medians, on one loop-mounted file system; the ratio is peer / ours (above 1: we are faster). */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { CACHE } from '../lab/paths.ts'
import { changeBlocks, makeLargeFiles, makeSmallFiles } from './corpus.ts'
import { landfall, rsync, tarPipe, type Peer } from './peers.ts'

export interface MirrorBenchOptions { files: number, runs: number, largeMiB: number }

export interface Row { work: string, peer: string, oursMs: number, peerMs: number, ratio: number, times: { ours: number[], peer: number[] } }

/** Runs all works and gives a row for each peer. Needs root, 2 × the data as free space, and leaves nothing behind. */
export async function benchMirror(options: MirrorBenchOptions, say: (line: string) => void): Promise<readonly Row[]> {
  await mkdir(CACHE, { recursive: true })
  const directory = await mkdtemp(join(CACHE, 'bench-'))
  const mount = join(directory, 'mount')
  const image = join(directory, 'image')
  const sizeMiB = 2048 + Math.ceil(options.files * 24 / 1024) * 3 + options.largeMiB * 3
  try {
    await mkdir(mount)
    await execa('truncate', ['-s', `${String(sizeMiB)}M`, image])
    await execa('mkfs.ext4', ['-q', '-F', '-N', String(options.files * 6 + 100_000), image])
    await execa('mount', ['-o', 'loop', image, mount])
    return await measure(mount, directory, options, say)
  } finally {
    await execa('umount', [mount], { reject: false })
    await rm(directory, { recursive: true, force: true })
  }
}

async function measure(mount: string, directory: string, options: MirrorBenchOptions, say: (line: string) => void): Promise<readonly Row[]> {
  const rows: Row[] = []
  const small = join(mount, 'small')
  const large = join(mount, 'large')
  say(`making ${String(options.files)} small files and one of ${String(options.largeMiB)} MiB`)
  await makeSmallFiles(small, options.files)
  await mkdir(large)
  await makeLargeFiles(large, 1, options.largeMiB << 20)
  await execa('sync', ['-f', mount])
  await using archive = await rsync(directory, ['-aHAXS'])
  await using whole = await rsync(directory, ['-aHAXS', '-W'])
  await using delta = await rsync(directory, ['-aHAXS', '--no-whole-file'])
  const fresh = async (target: string): Promise<void> => { await rm(target, { recursive: true, force: true }); await mkdir(target) }
  const compare = async (work: string, source: string, ours: Peer, peer: Peer, prepare: (target: string) => Promise<void>): Promise<void> => {
    const times: { ours: number[], peer: number[] } = { ours: [], peer: [] }
    for (let run = 0; run < options.runs; run++) {
      for (const [who, list] of [[ours, times.ours], [peer, times.peer]] as const) {
        const target = join(mount, 'target')
        await prepare(target)
        await execa('sync', ['-f', mount])
        list.push(Math.round(await who.copy(source, target)))
      }
    }
    const oursMs = median(times.ours)
    const peerMs = median(times.peer)
    const row = { work, peer: peer.name, oursMs, peerMs, ratio: peerMs / oursMs, times }
    say(`${work} | ${peer.name} | ours ${String(oursMs)} ms | peer ${String(peerMs)} ms | ratio ${row.ratio.toFixed(2)}`)
    rows.push(row)
  }
  const filled = async (source: string, target: string): Promise<void> => { await fresh(target); await archive.copy(source, target) }
  await compare(`first mirror, ${String(options.files)} small files`, small, landfall('none'), archive, fresh)
  await compare(`first mirror, ${String(options.files)} small files`, small, landfall('none'), tarPipe(), fresh)
  await compare('nothing changed, attributes', small, landfall('attributes'), archive, async target => { await filled(small, target) })
  await compare(`first mirror, one file of ${String(options.largeMiB)} MiB`, large, landfall('none'), whole, fresh)
  await compare('1 % of 4 KiB blocks changed, data', large, landfall('data'), delta, async target => {
    await filled(large, target)
    await changeBlocks(join(target, 'large-0'), options.largeMiB << 20, 0.01)
  })
  return rows
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
