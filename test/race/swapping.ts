/** A directory tree in which somebody exchanges directories and files for links, FIFOs and devices all the time. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SWAPPER = new URL('swapper.py', import.meta.url).pathname

export interface Swapping extends AsyncDisposable {
  /** ends it; how often names were exchanged */
  stop(): Promise<number>
}

/**
 * Makes d (with files a, b and directory e like it) in `inside`, and starts exchanging each of them for a link to the same name in `outside`, the
 * files also for a FIFO and a device. All partners wait in `parking`, on the same file system.
 */
export async function startSwapping(inside: string, outside: string, parking: string): Promise<Swapping> {
  for (const directory of ['d', 'd/e', 'd/e/e']) {
    mkdirSync(join(inside, directory), { recursive: true })
    for (const name of ['a', 'b']) writeFileSync(join(inside, directory, name), `${directory}/${name} `.repeat(1000))
  }
  mkdirSync(parking)
  const pairs: string[] = []
  const pair = (path: string, make: (partner: string) => void): void => {
    const partner = join(parking, String(pairs.length))
    make(partner)
    pairs.push(path, partner)
  }
  for (const [path, target] of [['d', ''], ['d/e', 'e'], ['d/e/e', 'e/e'], ['d/a', 'a'], ['d/e/a', 'e/a'], ['d/e/b', 'e/b']] as const) {
    pair(path, partner => { symlinkSync(join(outside, target), partner) })
  }
  pair('d/b', partner => execFileSync('mkfifo', [partner]))
  pair('d/e/b', partner => execFileSync('mknod', [partner, 'c', '1', '5']))
  const swapper = spawn('python3', [SWAPPER, inside, ...pairs], { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  swapper.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
  const ended = once(swapper, 'close')
  while (!said.includes('ready')) await Promise.race([once(swapper.stdout, 'data'), ended.then(() => { throw new Error('the swapper ended') })])
  const stop = async (): Promise<number> => {
    swapper.stdin.end()
    await ended
    return Number(said.trim().split('\n').at(-1))
  }
  return { stop, [Symbol.asyncDispose]: async () => { if (swapper.exitCode === null) await stop() } }
}
