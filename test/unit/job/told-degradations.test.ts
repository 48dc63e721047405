import t from 'tap'
import { ToldDegradations } from '../../../src/job/told-degradations.ts'
import type { JobHandle } from '../../../src/job/step.ts'

t.test('after a crash and after a reboot of the source the history tells that a mirror is required, and when it is made good', async t => {
  for (const kind of ['agent-crashed', 'source-rebooted'] as const) {
    const notes: string[] = []
    const told = new ToldDegradations({ note: async (what: string) => { notes.push(what) } } as unknown as JobHandle)
    t.match(told.look([{ kind, volume: 0, sinceMs: 1 }]), { health: 'warning', activity: /^mirror required: / })
    t.match(told.look([]), { health: 'ok', activity: /^protecting/ })
    await told.written()
    t.same(notes, ['mirror-required', 'mirror-made-good'])
  }
})
