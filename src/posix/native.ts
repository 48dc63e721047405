/**
 * Loads the addon (`npm run addon` builds it). Only posix.ts and the other typed faces of this folder import it; each family of calls has
 * its interface beside its face. File descriptors are numbers; failures are errors with the message `errno <number>`.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { AppError } from '../errors/app-error.ts'
import type { NativeCapture } from './capture.ts'
import type { NativeFreezing } from './freezing.ts'
import type { NativeLinking } from './native-link.ts'
import type { NativeMounting } from './native-mounting.ts'
import type { NativeTree } from './native-tree.ts'
import type { NativeWatching } from './watching.ts'

export interface NativeFileSystem {
  syncFileSystem(fd: number): Promise<void>
  writeFlags(fd: number, wanted: number): Promise<void>
  /** Lets this process have so many descriptors open, or as many as it may; answers how many. */
  raiseDescriptorLimit(wanted: number): number
  /** Gives the kernel back what is free in the heaps of the C library. */
  trimMemory(): Promise<void>
}

/** All that the addon exports; a new family joins here. */
export type Native = NativeFileSystem & NativeTree & NativeCapture & NativeFreezing & NativeLinking & NativeMounting & NativeWatching

function load(): Native {
  const path = fileURLToPath(new URL('addon/landfall-posix.node', import.meta.url))
  try {
    // the addon is built from this tree and exports exactly these functions
    return createRequire(import.meta.url)(path) as Native
  } catch (error) {
    throw new AppError('TOOL_MISSING', 'the native addon cannot be loaded; run "npm run addon"', { cause: error })
  }
}

export const native: Native = load()
