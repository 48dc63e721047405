/** SIGINT, SIGTERM and SIGHUP end a lab in order: the signal aborts, what is held is disposed of, a second one is not needed. */
export interface Interruption extends Disposable {
  readonly signal: AbortSignal
}

export function interruptible(): Interruption {
  const controller = new AbortController()
  const stop = (): void => {
    if (!controller.signal.aborted) process.stderr.write('\ninterrupted: cleaning up\n')
    controller.abort(new Interrupted())
  }
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.on(name, stop)
  return { signal: controller.signal, [Symbol.dispose]: () => { for (const name of names) process.off(name, stop) } }
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  constructor() {
    super('interrupted')
  }
}
