import { dirname, join } from 'node:path'
import t from 'tap'
import { mayFreeze, probeCapture } from '../../../src/agent/probe-capture.ts'
import { Workload } from '../../../src/domain/workload.ts'

t.test('freezing is for who has CAP_SYS_ADMIN', async t => {
  t.ok(mayFreeze('Name:\tagent\nCapEff:\t000001ffffffffff\n'))
  t.notOk(mayFreeze('CapEff:\t00000000a80425fb\n'), 'as in a container')
  t.notOk(mayFreeze('Name:\tagent\n'))
})

t.test('the folder of the queue is looked at before a job begins: what it lies on, and whether it can be used', async t => {
  const root = t.testdir({ queue: {}, volume: {} })
  const config = { capture: 'auto' as const, root, queue: { memoryMiB: 128, folder: join(root, 'queue'), minimumFreeMiB: 1 } }
  const beside = await probeCapture(config, ['/volume', '/missing'])
  Workload.shape.capture.parse(beside)
  t.strictSame(beside.queue, { folder: join(root, 'queue'), volumes: ['/volume'] }, 'one file system here; what cannot be looked at is told by others')
  const other = await probeCapture({ ...config, queue: { ...config.queue, folder: '/dev/shm' } }, ['/volume'])
  t.match(other.queue, { folder: '/dev/shm', volumes: [], problem: { code: 'QUEUE_FOLDER_INVALID', message: /others than root may write/ } })
  const missing = await probeCapture({ ...config, queue: { ...config.queue, folder: join(dirname(root), 'not-there') } }, ['/volume'])
  t.match(missing.queue?.problem, { code: 'QUEUE_FOLDER_INVALID' })
  t.match(await probeCapture({ ...config, capture: 'none', queue: { memoryMiB: 128 } }, []), { tier: 'none', queue: undefined })
})
