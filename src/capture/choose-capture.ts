/** Which capture is used on this machine, as it is set and as the kernel and the rights allow. */
import { captureLog } from '../logging/logger.ts'
import type { Workload } from '../domain/workload.ts'
import { isAppError } from '../errors/app-error.ts'
import type { ChangeSource } from './change-source.ts'
import type { DiskQueue } from './disk-queue.ts'
import { openFanotifyChangeSource } from './fanotify-change-source.ts'
import { inotifyUnsupportedReason, openInotifyChangeSource, type InotifyOptions } from './inotify-change-source.ts'

/** auto: fanotify where it can be had, else inotify */
export type CaptureSetting = 'auto' | 'fanotify' | 'inotify'

const UNSEEN_BY_INOTIFY = [
  'stores through mmap while the file stays mapped', 'direct writes by libaio', 'changes of inode flags (chattr)',
  'changes through a name of a file that was removed while it was open', 'changes in directories beyond the budget of watches, until all is compared',
]

const WITHOUT_DISK = 'the folder of the queue is not used: when memory is full, whole volumes are compared anew'

export interface ChosenCaptureOptions extends InotifyOptions {
  /** used by fanotify alone */
  disk?: DiskQueue | undefined
}

/**
 * Starts the capture that the setting allows.
 * @throws {AppError} SOURCE_MISSING when a root is no directory; CAPTURE_UNSUPPORTED with the reason when there is none; as checkDiskQueue
 */
export async function openChosenCapture(setting: CaptureSetting, options: ChosenCaptureOptions, signal: AbortSignal): Promise<ChangeSource> {
  if (setting === 'inotify') return await openInotifyChangeSource(options, signal)
  try {
    return await openFanotifyChangeSource(options, signal)
  } catch (error) {
    if (setting === 'fanotify' || !isAppError(error, 'CAPTURE_UNSUPPORTED')) throw error
    captureLog.warn({ err: error }, `directories are watched instead of file systems${options.disk === undefined ? '' : `, ${WITHOUT_DISK}`}`)
    return await openInotifyChangeSource(options, signal)
  }
}

/** The tier of the capture that would be used for these directories. @param probeFanotify how well fanotify does there @param disk the queue that is set, which fanotify alone uses */
export function chosenTier(setting: CaptureSetting, paths: readonly string[], probeFanotify: () => Workload['capture'], disk?: DiskQueue): Workload['capture'] {
  const fanotify = setting === 'inotify' ? { tier: 'none' as const, reason: 'the agent is set to watch directories', unseen: [] } : probeFanotify()
  if (setting === 'fanotify' || fanotify.tier !== 'none') return fanotify
  const reason = inotifyUnsupportedReason(paths)
  if (reason !== undefined) return { tier: 'none', reason: `${fanotify.reason}; ${reason}`.slice(0, MAX_REASON), unseen: [] }
  return { tier: 'C', reason: `${disk === undefined ? '' : `${WITHOUT_DISK}; `}${fanotify.reason}`.slice(0, MAX_REASON), unseen: UNSEEN_BY_INOTIFY }
}

const MAX_REASON = 1000
