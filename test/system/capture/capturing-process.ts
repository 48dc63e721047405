/** Captures the changes of the directory given, until it is killed; says "ready" on standard output. */
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'

const [path = ''] = process.argv.slice(2)
await openFanotifyChangeSource({ volumes: new Map([[0, path]]), clock: systemClock }, new AbortController().signal)
process.stdout.write('ready\n')
setInterval(() => undefined, 60_000)
