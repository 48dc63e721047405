/** The lab's own way into a guest: a shell on its second serial port (image/guest-programs.sh is the other end), which needs neither network nor agent. */
import { createInterface } from 'node:readline'
import { gunzipSync } from 'node:zlib'
import { waitUntil } from '../process-identity.ts'
import { connected } from './qmp.ts'

export interface GuestShell extends Disposable {
  /** Waits until the shell of this start of the guest answers. */
  ready(timeoutMs: number): Promise<void>
  /** Runs a script of sh as root and answers its output, both streams. @throws {Error} on any exit code but 0 */
  run(script: string, timeoutMs?: number): Promise<string>
  /** The same without an error for what the script says: exit code and output. */
  attempt(script: string, timeoutMs?: number): Promise<{ code: number, output: string }>
  /** The guest starts again: its shell must be ready anew. */
  forget(): void
}

/** What a serial line takes at once without loss. */
const PIECE = 512
const PIECE_MS = 30_000
const ASK_EVERY_MS = 3000
const RUN_MS = 120_000

export async function openGuestShell(path: string, name: string): Promise<GuestShell> {
  const socket = await connected(path)
  const lines: string[] = []
  // a guest that ends closes the socket; whoever waits is told so
  createInterface({ input: socket }).on('error', () => undefined).on('line', (line) => { lines.push(line.trim()) })
  let next = 0
  let last: Promise<unknown> = Promise.resolve()
  const line = async (what: string, timeoutMs: number, pattern: RegExp): Promise<RegExpExecArray> => await waitUntil(`the shell of ${name} to ${what}`, timeoutMs, () => {
    if (lines.length === 0 && socket.destroyed) throw new Error(`${name} ended before its shell could ${what}`)
    for (let text = lines.shift(); text !== undefined; text = lines.shift()) {
      const match = pattern.exec(text)
      if (match !== null) return match
    }
    return undefined
  })
  async function attempt(script: string, timeoutMs = RUN_MS): Promise<{ code: number, output: string }> {
    const text = Buffer.from(script).toString('base64')
    for (let at = 0; at < text.length; at += PIECE) {
      socket.write(`+ ${text.slice(at, at + PIECE)}\n`)
      await line('take a script', PIECE_MS, /^\+$/)
    }
    const id = String(next++)
    socket.write(`! ${id}\n`)
    const [, code = '', output = ''] = await line('run a script', timeoutMs, new RegExp(`^= ${id} (\\d+) (\\S*)$`))
    return { code: Number(code), output: gunzipSync(Buffer.from(output, 'base64')).toString('utf8') }
  }
  const inTurn = async (script: string, timeoutMs?: number): Promise<{ code: number, output: string }> => {
    const mine = last.catch(() => undefined).then(async () => await attempt(script, timeoutMs))
    last = mine
    return await mine
  }
  return {
    ready: async (timeoutMs) => {
      let askAt = Date.now() + ASK_EVERY_MS
      await waitUntil(`the shell of ${name}`, timeoutMs, () => {
        if (socket.destroyed) throw new Error(`${name} ended before its shell was there`)
        if (lines.some(text => text.endsWith('ready'))) return true
        if (Date.now() > askAt) {
          askAt = Date.now() + ASK_EVERY_MS
          socket.write('?\n')
        }
        return false
      })
    },
    attempt: inTurn,
    run: async (script, timeoutMs) => {
      const { code, output } = await inTurn(script, timeoutMs)
      if (code !== 0) throw new Error(`in ${name}, exit code ${String(code)} of: ${script}\n${output.slice(-2000)}`)
      return output
    },
    forget: () => { lines.length = 0 },
    [Symbol.dispose]: () => { socket.destroy() },
  }
}
