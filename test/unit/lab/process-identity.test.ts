import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { claim, identityOf } from '../../lab/process-identity.ts'

const IDENTITY = join(import.meta.dirname, '../../lab/process-identity.ts')
/** claims each of the files, all at once, and lives on until it is told */
const CLAIMER = `
const { claim } = await import(process.argv[1])
process.stdout.write(JSON.stringify(await Promise.all(process.argv.slice(2).map(file => claim(file)))) + '\\n')
process.stdin.resume()
process.stdin.on('end', () => process.exit())`
const PROCESSES = 4
const AT_ONCE = 20
const SEEN_FILES = 100
const LIMIT_MS = 60_000

t.test('who finds a claimed file always finds by whom: an empty one would be that of a dead process', async t => {
  const files = Array.from({ length: SEEN_FILES }, (_, i) => join(t.testdirName, String(i)))
  t.testdir({})
  // reads each file until it is there, as often as it can
  const reader = new Worker(`
    const { workerData, parentPort } = require('node:worker_threads')
    const { readFileSync } = require('node:fs')
    parentPort.postMessage('ready')
    parentPort.postMessage(workerData.map(file => { for (;;) { try { return readFileSync(file, 'utf8') } catch {} } }))`, { eval: true, workerData: files })
  await once(reader, 'message')
  const seen = once(reader, 'message')
  for (const file of files) {
    t.ok(await claim(file))
    await setTimeout(1)
  }
  const [found] = await seen as [string[]]
  t.strictSame([...new Set(found)], [identityOf(process.pid)])
  t.notOk(await claim(files[0] ?? ''), 'nobody has it while it lives')
})

t.test('of several processes one has a file, also one that a dead process held', async t => {
  const directory = t.testdir({})
  const files = Array.from({ length: AT_ONCE }, (_, i) => join(directory, String(i)))
  for (const file of files.slice(AT_ONCE / 2)) await writeFile(file, '1 0')
  const claimers = Array.from({ length: PROCESSES }, () => spawn(process.execPath, ['--input-type=module', '-e', CLAIMER, IDENTITY, ...files], { stdio: ['pipe', 'pipe', 'inherit'] }))
  const answers = await Promise.all(claimers.map(async (claimer) => {
    const [line] = await once(claimer.stdout, 'data', { signal: AbortSignal.timeout(LIMIT_MS) }) as [Buffer]
    return JSON.parse(line.toString()) as boolean[]
  }))
  await Promise.all(claimers.map(async (claimer) => {
    claimer.stdin.end()
    await once(claimer, 'exit')
  }))
  t.strictSame(files.map((_, i) => answers.filter(claimed => claimed[i] === true).length), files.map(() => 1))
})

t.test('where there is no directory any more nothing is claimed', async t => {
  t.notOk(await claim(join(t.testdir({}), 'gone', 'file')))
})
