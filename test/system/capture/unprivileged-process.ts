/** Captures below the directory given with what rights it has, makes a file there, and prints what became of it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { probeCaptureTier } from '../../../src/capture/capture-tier.ts'
import { chosenTier, openChosenCapture, type CaptureSetting } from '../../../src/capture/choose-capture.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { isAppError } from '../../../src/errors/app-error.ts'

const [path = ''] = process.argv.slice(2)
const signal = AbortSignal.timeout(60_000)
const options = { volumes: new Map([[0, path]]), clock: systemClock }
let refused = ''
try {
  await (await openChosenCapture('fanotify', options, signal))[Symbol.asyncDispose]()
} catch (error) {
  refused = isAppError(error) ? error.code : String(error)
}
await using source = await openChosenCapture('auto', options, signal)
const since = await source.settle(0, signal)
writeFileSync(join(path, 'below/new'), '')
const changes = (await source.take(signal)).map(change => `${change.kind} ${'path' in change ? change.path.toString() : ''}`)
const walked: string[] = []
for await (const page of source.changedSince(0, since, { frozen: false }, signal)) walked.push(...page.map(object => object.path.toString()))
const tier = (setting: CaptureSetting): string => chosenTier(setting, [path], () => probeCaptureTier([path])).tier
process.stdout.write(JSON.stringify({ refused, tiers: { auto: tier('auto'), fanotify: tier('fanotify'), inotify: tier('inotify') }, changes, walked: walked.filter(name => name.endsWith('new')) }))
