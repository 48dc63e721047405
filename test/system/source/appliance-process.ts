/**
 * The appliance's part of a job as a process that can be killed: says {"port":N}, "protecting", and when it is told "drain HOLD_MS" that it
 * has "drained" or "failed CODE". What it froze it does not hold.
 *   node appliance-process.ts '{"base":...,"source":...,"replica":...,"linePort":N}'
 */
import { createInterface } from 'node:readline'
import { isAppError } from '../../../src/errors/app-error.ts'
import { Protection, until, type Places } from './restarting.ts'

const places = JSON.parse(process.argv[2] ?? '') as Places
const signal = new AbortController().signal
const over = new AbortController()
const say = (what: string): void => { process.stdout.write(`${what}\n`) }

await using protection = await Protection.open(places, signal)
say(JSON.stringify({ port: protection.port }))
const running = protection.run(over.signal)
await until('protection', () => protection.isProtecting)
say('protecting')
for await (const line of createInterface({ input: process.stdin })) {
  over.abort()
  await running
  try {
    await protection.drain(signal, Number(line.split(' ')[1]))
    say('drained')
  } catch (error) {
    say(`failed ${isAppError(error) ? error.code : String(error)}`)
  }
}
