#!/usr/bin/env node
/** The `landfall` command: runs one command and sets the exit code. */
import { systemClock } from '../clock/clock.ts'
import { main } from '../cli/main.ts'
import { processTerminal } from '../cli/terminal.ts'

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => { interrupted.abort() })
// a reader that ends early (| head) is no error of ours
process.stdout.on('error', (error: Error & { code?: string }) => { if (error.code === 'EPIPE') interrupted.abort() })

process.exitCode = await main(process.argv.slice(2), {
  terminal: processTerminal(process, process.env, () => { interrupted.abort() }), environment: process.env, signal: interrupted.signal,
  now: () => systemClock.now(), sleep: async (ms, signal) => systemClock.sleep(ms, signal),
})
