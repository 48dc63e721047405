import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { problem, run, startAppliance, type Answer } from './fake-appliance.ts'

const PNG = Buffer.from('89504e470d0a1a0a00ff80c3', 'hex')
const image: Answer = (response, { headers }) => { response.writeHead(headers.accept === 'image/png' ? 200 : 406, { 'content-type': 'image/png' }).end(PNG) }

t.test('the screenshot is saved byte for byte, in place of a file that is there', async t => {
  const directory = t.testdir({ 'shot.png': 'an older, longer one, which is replaced' })
  await using appliance = await startAppliance(directory)
  appliance.on('GET /jobs/x/screenshot?of=cutover', image)
  const file = join(directory, 'shot.png')
  t.match(await run(appliance, ['job', 'screenshot', 'x', '--output', file]), { code: 0, out: /saved as .*shot\.png, a PNG of 12 B/ })
  t.strictSame(await readFile(file), PNG)
})

t.test('--test is that of the test cutover, --json says what was saved', async t => {
  const directory = t.testdir({})
  await using appliance = await startAppliance(directory)
  appliance.on('GET /jobs/x/screenshot?of=test-cutover', image)
  const file = join(directory, 'test.png')
  const { code, out } = await run(appliance, ['job', 'screenshot', 'x', '--test', '--output', file, '--json'])
  t.equal(code, 0)
  t.strictSame(JSON.parse(out), { of: 'test-cutover', file, bytes: 12 })
})

t.test('one that does not exist, a place that cannot be written and a missing --output are told', async t => {
  const directory = t.testdir({})
  await using appliance = await startAppliance(directory)
  appliance.on('GET /jobs/x/screenshot?of=cutover', problem('SCREENSHOT_NOT_FOUND', 'there is no screenshot of the last cutover of job x'))
  appliance.on('GET /jobs/y/screenshot?of=cutover', image)
  t.match(await run(appliance, ['job', 'screenshot', 'x', '--output', join(directory, 'a')]), { code: 3, err: /no screenshot[^]*SCREENSHOT_NOT_FOUND/ })
  t.match(await run(appliance, ['job', 'screenshot', 'y', '--output', join(directory, 'none', 'a')]), { code: 2, err: /cannot be written to .*none/ })
  t.match(await run(appliance, ['job', 'screenshot', 'y']), { code: 2, err: /--output/ })
})
