/**
 * Runs a tool that sees one block device and no other: with a /dev of its own. Some refuse an identifier that another device of the machine bears,
 * which is what a clone is.
 */
import { basename } from 'node:path'
import type { RunOptions, RunResult, Runner, Tool } from './runner.ts'

/** $1: name of the device; $2 and $3: its numbers; becomes the rest. The mount is seen by nobody else and goes with the tool. */
const ENTER = `name=$1; major=$2; minor=$3; shift 3
mount --types tmpfs --options mode=0755,size=1m,nosuid,noexec -- landfall /dev || exit 125
mknod --mode=0600 -- "/dev/$name" b "$major" "$minor" || exit 125
mknod --mode=0666 -- /dev/null c 1 3 || exit 125
exec "$@"`

/** What was found on other devices before: kept in the new /dev, so that the machine's own stays as it is. */
const ENVIRONMENT = { BLKID_FILE: '/dev/blkid.tab' }

/**
 * @param device its name in /dev, which `args` may hold
 * @param number "major:minor"
 * @throws {AppError} what Runner throws
 */
export async function runAlone(runner: Runner, device: string, number: string, tool: Tool, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const [major = '', minor = ''] = number.split(':')
  return await runner.run('unshare', [
    '--mount', '--propagation', 'private', '--', 'sh', '-c', ENTER, 'sh', basename(device), major, minor, tool, ...args,
  ], { ...options, env: { ...ENVIRONMENT, ...options.env } })
}
