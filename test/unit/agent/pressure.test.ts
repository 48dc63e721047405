import t from 'tap'
import { WaitingSince, waitingForProcessor } from '../../../src/agent/pressure.ts'

void t.test('the pressure is a percentage', async t => {
  const since = new WaitingSince()
  for (const percent of [waitingForProcessor(), since.percent(), since.percent()]) t.ok(percent >= 0 && percent <= 100, String(percent))
})
