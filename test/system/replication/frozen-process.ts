/** Freezes the mount point given, says "frozen", and holds on for ever: the test kills it. */
import { freeze } from '../../../src/replication/freezer.ts'

const [, , path, holdMs] = process.argv
if (path === undefined) throw new TypeError('no mount point')
const frozen = await freeze([path], { holdMs: Number(holdMs) }, new AbortController().signal)
process.stdout.write('frozen\n')
setInterval(() => { void frozen.hold() }, 100)
