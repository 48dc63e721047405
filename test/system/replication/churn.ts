/** Random changes of a directory, made by a process of its own (churn.py). */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const CHURN = fileURLToPath(new URL('churn.py', import.meta.url))

export interface Churn extends AsyncDisposable { done: Promise<void> }

/** Starts the churn, with `seen` only of what events tell at once; `done` when it has made its changes, but its mappings stay open until it is disposed, which ends it at any time. */
export function churn(directory: string, seed: number, operations: number, perSecond: number, { seen = false } = {}): Churn {
  const child: ChildProcess = spawn('python3', [CHURN, directory, String(seed), String(operations), String(perSecond), ...seen ? ['seen'] : []], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => { said += chunk.toString() })
  const ended = once(child, 'exit')
  const done = (async () => {
    const [first] = await Promise.race([once(child.stdout ?? child, 'data'), ended]) as unknown[]
    if (String(first).trim() !== 'done') throw new Error(`churn ended early (${String(first)}): ${said}`)
  })()
  done.catch(() => undefined)
  return {
    done,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
