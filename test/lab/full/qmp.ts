/** QEMU's machine protocol over its socket: one command at a time, and events as they come. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { waitUntil } from '../process-identity.ts'

export interface Qmp extends Disposable {
  /** @throws {Error} with QEMU's words when it refuses */
  command(execute: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** Waits for an event that has come since the connection and nobody has waited for. */
  event(name: string, device: string, timeoutMs: number): Promise<void>
}

const Message = z.object({
  return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional(),
  event: z.string().optional(), data: z.object({ device: z.string().optional() }).optional(),
})

const ANSWER_MS = 60_000

export async function openQmp(path: string): Promise<Qmp> {
  const socket = await connected(path)
  const answers: z.infer<typeof Message>[] = []
  const events: z.infer<typeof Message>[] = []
  // QEMU that ends closes the socket; a command that waits then fails
  const input = createInterface({ input: socket }).on('error', () => undefined)
  input.on('line', (line) => {
    const message = Message.parse(JSON.parse(line));
    (message.event === undefined ? answers : events).push(message)
  })
  let last: Promise<unknown> = Promise.resolve()
  const call = async (text: string, what: string): Promise<unknown> => {
    socket.write(`${text}\n`)
    const answer = await waitUntil(`QEMU to answer ${what}`, ANSWER_MS, () => {
      if (answers.length === 0 && socket.destroyed) throw new Error(`QEMU ended before it answered ${what}`)
      return answers.shift()
    })
    if (answer.error !== undefined) throw new Error(`QEMU refuses ${what}: ${answer.error.desc}`)
    return answer.return
  }
  await waitUntil('QEMU to greet', ANSWER_MS, () => answers.shift())
  const command: Qmp['command'] = async (execute, args) => {
    // numbers of 64 bits have no other way into JSON
    const text = JSON.stringify({ execute, arguments: args }, (_, value: unknown) => (typeof value === 'bigint' ? `@${String(value)}@` : value)).replace(/"@(\d+)@"/g, '$1')
    const mine = last.catch(() => undefined).then(async () => await call(text, execute))
    last = mine
    return await mine
  }
  await command('qmp_capabilities')
  return {
    command,
    event: async (name, device, timeoutMs) => {
      await waitUntil(`QEMU to say ${name} for ${device}`, timeoutMs, () => {
        const at = events.findIndex(e => e.event === name && e.data?.device === device)
        return at >= 0 && events.splice(at, 1).length > 0
      })
    },
    [Symbol.dispose]: () => { socket.destroy() },
  }
}

/** QEMU makes its sockets in its first moments. */
export async function connected(path: string): Promise<Socket> {
  return await waitUntil(`${path} to listen`, 20_000, async () => {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch {
      return undefined // not yet
    }
  })
}
