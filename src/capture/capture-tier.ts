/**
 * How well changes can be captured on this machine: A, everything with the ranges of files; B, files and names as they change, ranges and
 * what goes past the events by comparison.
 */
import type { Workload } from '../domain/workload.ts'
import { probeFanotify } from './fanotify-change-source.ts'

/** Found by change time: at intervals, and always before the cutover. */
const NEVER_SEEN = ['changes of inode flags (chattr)', 'changes of attributes through a handle, as an NFS server makes them']
/** written.rs says why */
const UNSEEN_WITH_PAGES = ['a store through mmap into a page that a write has just made dirty, when no other follows']
const UNSEEN_WITHOUT_PAGES = ['stores through mmap while the file stays mapped', 'direct writes by libaio']

/** Looks at the kernel and the file systems of these directories; nothing is started. */
export function probeCaptureTier(paths: readonly string[]): Workload['capture'] {
  return tierOf(probeFanotify(paths))
}

/** The tier that a probe means, in words. Pure. */
export function tierOf(probed: ReturnType<typeof probeFanotify>): Workload['capture'] {
  if ('unsupported' in probed) return { tier: 'none', reason: probed.unsupported.slice(0, MAX_REASON), unseen: [] }
  if (probed.untraced.length === 0) return { tier: 'A', reason: '', unseen: [...UNSEEN_WITH_PAGES, ...NEVER_SEEN] }
  const reason = `dirty pages cannot be followed: ${[...new Set(probed.untraced)].join('; ')}`
  return { tier: 'B', reason: reason.slice(0, MAX_REASON), unseen: [...UNSEEN_WITHOUT_PAGES, ...NEVER_SEEN] }
}

const MAX_REASON = 1000
