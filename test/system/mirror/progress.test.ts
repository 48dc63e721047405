/** What a real mirror tells while it goes on: the figures only grow, and the share goes back by no more than what was newly found. */
import t from 'tap'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, type Clock } from '../../../src/clock/clock.ts'
import { mirrorPosition, mirrorShare, NO_MIRROR_PROGRESS, type MirrorProgress } from '../../../src/domain/progress.ts'
import { mirrorVolumes } from '../../../src/mirror/mirrorer.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import type { MirrorRequest } from '../../../src/wire/messages.ts'
import { differences } from '../../oracle.ts'
import { TreeStream } from '../../tree-stream.ts'
import { MOUNT_SKIP } from '../../zoo/loop-file-system.ts'

const DIRECTORIES = 30
const FILES_EACH = 40
const FIGURES = ['filesFound', 'filesDone', 'filesSkipped', 'bytesFound', 'bytesDone', 'bytesSkipped', 'bytesSent'] as const satisfies readonly (keyof MirrorProgress)[]

/** A second passes whenever somebody looks, so that everything there is to tell is told. */
function hastyClock(): Clock {
  let now = Date.now()
  return { ...systemClock, now: () => now += 1000 }
}

/** Directories whose files are equal, sent, or mixed, by turns, also within one another; and files of several pieces, some equal. */
function fill(source: string, replica: string): void {
  const then = new Date(Date.now() - 100_000)
  const put = (root: string, path: string, content: Buffer): void => {
    writeFileSync(join(root, path), content)
    utimesSync(join(root, path), then, then)
  }
  for (let d = 0; d < DIRECTORIES; d++) {
    const directory = join(...Array.from({ length: 1 + d % 4 }, (_, level) => `d${String(level === d % 4 ? d : d % 3)}`))
    for (const root of [source, replica]) mkdirSync(join(root, directory), { recursive: true })
    for (let f = 0; f < FILES_EACH; f++) {
      const content = Buffer.alloc(f * 300, `${String(d)} ${String(f)} `)
      put(source, join(directory, `f${String(f)}`), content)
      if (d % 3 === 0 || (d % 3 === 1 && f % 2 === 0)) put(replica, join(directory, `f${String(f)}`), content)
    }
  }
  for (let i = 0; i < 6; i++) {
    const content = Buffer.alloc(2_000_000, `large ${String(i)} `)
    put(source, `large-${String(i)}`, content)
    if (i % 2 === 0) put(replica, `large-${String(i)}`, content.subarray(0, i === 4 ? 1_000_000 : undefined))
  }
}

for (const compare of ['none', 'attributes', 'data'] as const satisfies readonly MirrorRequest['compare'][]) {
  t.test(`comparing ${compare}, progress never runs backwards by more than what was newly found`, { skip: MOUNT_SKIP }, async t => {
    const base = t.testdir({ source: {}, replica: {} })
    const [source, replica] = [join(base, 'source'), join(base, 'replica')]
    fill(source, replica)
    const signal = AbortSignal.timeout(120_000)
    const reports: MirrorProgress[] = []
    {
      await using from = await openPosixSourceTree(source, signal)
      await using to = await openPosixTargetTree(replica, signal)
      reports.push(await mirrorVolumes({
        volumes: new Map([[0, from]]), stream: new TreeStream(new Map([[0, to]])), request: { compare, orphans: 'keep' }, report: progress => { reports.push(progress) }, clock: hastyClock(),
      }, signal))
    }
    t.same(await differences(source, replica), [])
    const wrong: string[] = []
    let before: MirrorProgress = NO_MIRROR_PROGRESS
    for (const [i, report] of reports.entries()) {
      for (const figure of FIGURES) if (report[figure] < before[figure]) wrong.push(`report ${String(i)}: ${figure} fell from ${String(before[figure])} to ${String(report[figure])}`)
      if (report.filesDone + report.filesSkipped > report.filesFound || report.bytesDone + report.bytesSkipped > report.bytesFound) wrong.push(`report ${String(i)}: more is done than was found`)
      const { total } = mirrorPosition(report)
      const newlyFound = total === 0 ? 0 : (total - mirrorPosition(before).total) / total
      if (mirrorShare(report) < mirrorShare(before) - newlyFound - 1e-9) wrong.push(`report ${String(i)}: ${String(mirrorShare(report))} after ${String(mirrorShare(before))}, newly found ${String(newlyFound)}`)
      if (i < reports.length - 2 && mirrorShare(report) === 1) wrong.push(`report ${String(i)} of ${String(reports.length)}: 1 before the end`)
      before = report
    }
    t.same(wrong, [])
    t.comment(`${String(reports.length)} reports`)
    t.ok(new Set(reports.map(mirrorShare)).size > 20, `${String(reports.length)} reports with many shares`)
    t.equal(mirrorShare(before), 1)
    t.equal(before.filesDone + before.filesSkipped, before.filesFound)
    t.ok(before.filesDone > 400 && (compare === 'none' || before.filesSkipped > 400), 'some was sent, and some skipped')
  })
}
