import { readFile } from 'node:fs/promises'
import t from 'tap'
import { JobState } from '../../../src/domain/job.ts'
import { ACTIVE_STATES, eventOfAction, isHandedOver, nextState, offeredActions, pauses, shownTransmitMode, TRANSITIONS, type JobEvent } from '../../../src/job/job-state.ts'

const NOTHING = { built: undefined, validation: [], cutoverSteps: [] }

t.test('the happy path is create, validate, provision, mirror, protect, cut over', async t => {
  const events: JobEvent[] = ['validate', 'validation-passed', 'start', 'provisioned', 'mirror-complete', 'cutover', 'replica-booted']
  t.equal(events.reduce<JobState>((state, event) => nextState(state, event), 'created'), 'completed')
})

t.test('from every state a job can still be removed', async t => {
  for (const start of JobState.options) {
    const seen = new Set<JobState>([start])
    for (const state of seen) for (const to of Object.values(TRANSITIONS[state])) seen.add(JobState.parse(to))
    t.ok(seen.has('removed'), start)
  }
})

t.test('every state can be reached', async t => {
  const reached = new Set<JobState>(JobState.options.flatMap(state => Object.values(TRANSITIONS[state])))
  t.strictSame(JobState.options.filter(state => !reached.has(state)), ['created'])
})

t.test('a running step can always fail', async t => {
  for (const state of ACTIVE_STATES) t.equal(nextState(state, 'step-failed'), 'failed', state)
})

t.test('a cutover is refused in every state but protecting', async t => {
  for (const state of JobState.options.filter(other => other !== 'protecting')) {
    t.throws(() => nextState(state, 'cutover'), { code: 'JOB_TRANSITION_INVALID' }, state)
  }
})

t.test('the actions offered are those of the row', async t => {
  t.strictSame(offeredActions({ state: 'protecting', captureEpoch: 'one' }), ['pause', 'stop', 'rehearse', 'test-cutover', 'cutover', 'remirror', 'remove'])
  t.strictSame(offeredActions({ state: 'protecting', captureEpoch: 'one', paused: true }), ['resume', 'stop', 'rehearse', 'test-cutover', 'cutover', 'remirror', 'remove'])
  t.strictSame(offeredActions({ state: 'protecting' }), ['pause', 'stop', 'rehearse', 'test-cutover', 'remirror', 'remove'], 'no cutover while a new mirror is required')
  t.strictSame(offeredActions({ state: 'cutting-over' }), [])
  t.strictSame(offeredActions({ state: 'failed' }), ['retry', 'remove'])
  t.strictSame(offeredActions({ state: 'removed' }), [])
})

t.test('a flow can be paused where there is one, and a start of a paused one lets it go on', async t => {
  t.equal(pauses('pause', { state: 'mirroring' }), true)
  t.equal(pauses('resume', { state: 'protecting', paused: true }), false)
  t.equal(pauses('start', { state: 'protecting', paused: true }), false)
  t.equal(pauses('start', { state: 'protecting' }), undefined)
  for (const state of ['created', 'ready', 'stopped', 'cutting-over', 'completed'] as const) t.throws(() => pauses('pause', { state }), { code: 'JOB_TRANSITION_INVALID' }, state)
  t.equal(shownTransmitMode({ state: 'stopped', paused: true, transmitMode: 'active' }), 'stopped')
  t.equal(shownTransmitMode({ state: 'protecting', transmitMode: 'scheduled' }), 'scheduled')
  t.equal(shownTransmitMode({ state: 'mirroring', paused: true, transmitMode: 'active' }), 'paused')
})

t.test('a retry begins with the validation, or goes on with the disks that were made', async t => {
  t.equal(eventOfAction('retry', { ...NOTHING, state: 'failed' }), 'retry')
  t.equal(eventOfAction('retry', { ...NOTHING, state: 'failed', built: { disks: [{ path: '[a] b.vmdk', sizeBytes: 1, uuid: '' }] } }), 'resume')
})

t.test('a replica that was handed over is never tried again', async t => {
  t.equal(isHandedOver({ cutoverSteps: ['powered-on'] }), false)
  t.equal(isHandedOver({ cutoverSteps: ['powered-on', 'proved'] }), true)
  t.throws(() => eventOfAction('retry', { ...NOTHING, state: 'failed', cutoverSteps: ['proved'] }), { code: 'JOB_TRANSITION_INVALID' })
})

t.test('the start of an invalid job says what is wrong with it', async t => {
  const finding = { code: 'X', severity: 'error' as const, subject: '', message: 'no such network', advice: '' }
  t.throws(() => eventOfAction('start', { ...NOTHING, state: 'invalid', validation: [finding] }), { code: 'JOB_VALIDATION_FAILED', message: /1 validation errors: no such network/ })
})

t.test('the diagram in src/README.md shows every transition, and no other', async t => {
  const readme = await readFile('src/README.md', 'utf8')
  const shown = [...readme.matchAll(/^ *(\S+) --> (\S+): (\S+)$/gm)].map(([, from, to, event]) => `${String(from)} ${String(event)} ${String(to)}`)
  const table = JobState.options.flatMap(state => Object.entries(TRANSITIONS[state]).map(([event, to]) => `${state} ${event} ${to}`))
  t.strictSame(shown.sort(), table.sort())
})
