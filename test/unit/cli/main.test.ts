import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { problem, run, startAppliance } from './fake-appliance.ts'

t.test('help goes to standard output, names the commands and the exit codes, and is no error', async t => {
  const { code, out, err } = await run(undefined, ['--help'])
  t.equal(code, 0)
  t.match(out, /server[\s\S]*vmware[\s\S]*job[\s\S]*Exit codes:[\s\S]*130 {2}interrupted/)
  t.equal(err, '')
  const leaf = await run(undefined, ['job', 'create', '--help'])
  t.match(leaf.out, /--no-shutdown[\s\S]*Exit codes:/)
})

t.test('every command has --json and no option that takes a secret', async t => {
  for (const group of ['server', 'vmware', 'job']) {
    const { out } = await run(undefined, [group, '--help'])
    const commands = [...out.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(m => m[1] ?? '')
    t.ok(commands.length >= 3)
    for (const command of commands) {
      const help = (await run(undefined, [group, command, '--help'])).out
      t.match(help, /--json/, `${group} ${command}`)
      t.notMatch(help, /--(?:password|token)[ =]/, `${group} ${command}`)
    }
  }
})

t.test('every command file is part of the program', async t => {
  const files = await readdir(join(import.meta.dirname, '../../../src/cli'))
  for (const file of files) {
    const [, group, command] = /^(server|vmware|job)-(add|list|show|remove|create|validate|start|watch|cutover|stop|retry|remirror|delete)[.]ts$/.exec(file) ?? []
    if (group !== undefined && command !== undefined) t.equal((await run(undefined, [group, command, '--help'])).code, 0, file)
  }
})

t.test('wrong use ends with 2 and says what is wrong', async t => {
  for (const args of [['frob'], ['job', 'frob'], ['job', 'list', 'surplus'], ['job', 'list', '--frob'], ['job', 'create', 'x'], ['job', 'watch', 'x', '--until', 'later'], ['job']]) {
    const { code, err } = await run(undefined, args)
    t.equal(code, 2, args.join(' '))
    t.not(err, '', args.join(' '))
  }
  const { code, out } = await run(undefined, ['job', 'create', 'x', '--json'])
  t.equal(code, 2)
  t.match(JSON.parse(out), { code: 'REQUEST_INVALID', detail: /--source/ })
})

t.test('an error is one sentence and what to do, and never a stack', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x', problem('JOB_NOT_FOUND', 'there is no job x\u001b[2J'))
  const { code, out, err } = await run(appliance, ['job', 'show', 'x'])
  t.equal(code, 3)
  t.equal(out, '')
  t.equal(err, 'error: there is no job x?[2J (JOB_NOT_FOUND)\nList the jobs with "landfall job list" and use one of the names shown.\n')
})

t.test('with --json an error is the problem on standard output', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x', problem('JOB_NOT_FOUND', 'there is no job x'))
  const { code, out, err } = await run(appliance, ['job', 'show', 'x', '--json'])
  t.equal(code, 3)
  t.match(JSON.parse(out), { code: 'JOB_NOT_FOUND', status: 404, detail: 'there is no job x', retryable: false })
  t.equal(err, '')
})

t.test('each kind of failure has its exit code', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  const cases = [['INTERNAL', 1], ['REQUEST_INVALID', 2], ['JOB_NOT_FOUND', 3], ['JOB_TRANSITION_INVALID', 4], ['ACCESS_DENIED', 5], ['SOURCE_NOT_CONNECTED', 6], ['REPLICA_FULL', 7], ['VM_NAME_TAKEN', 8]] as const
  for (const [name, exitCode] of cases) {
    appliance.on('POST /jobs/x/actions/start', problem(name, 'no'))
    t.equal((await run(appliance, ['job', 'start', 'x'])).code, exitCode, name)
  }
  t.equal((await run(appliance, ['job', 'list'], { signal: AbortSignal.abort() })).code, 130)
  t.equal((await run(undefined, ['job', 'list'], { environment: { LANDFALL_URL: 'https://localhost:1' } })).code, 6)
})
