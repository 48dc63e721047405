import { connect } from 'node:net'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { EnrolmentOffer, Problem } from '../../../src/domain/server.ts'
import { JobView } from '../../../src/domain/job.ts'
import { makeCertificate } from '../../lab/certificate.ts'
import { startFront } from '../../lab/front.ts'
import { createLab } from '../../lab/lab.ts'
import { loopsBelow } from '../../lab/loop-devices.ts'
import { AGENT, NODE } from '../../lab/paths.ts'
import { waitUntil } from '../../lab/process-identity.ts'
import { tool } from '../../lab/tool.ts'

const LIMIT_MS = 600_000
const signal = AbortSignal.timeout(LIMIT_MS)

const lab = await createLab({ datastores: [{ name: 'datastore1', capacityGib: 64 }, { name: 'tiny', capacityGib: 1 }] }, signal)
t.teardown(async () => { await lab[Symbol.asyncDispose]() })

/** The command is refused with this code, in one sentence and with advice, without a stack. */
async function refused(t: Test, args: readonly string[], code: string, exitCode: number, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const cli = env['LANDFALL_VMWARE_PASSWORD'] === undefined ? lab.cli : lab.cliWith(env)
  const ran = await cli.run([...args, '--json'], { signal })
  t.equal(ran.exitCode, exitCode, `${args.join(' ')} exits with ${String(exitCode)}`)
  const problem = Problem.parse(JSON.parse(ran.stdout))
  t.equal(problem.code, code)
  t.ok(problem.operator.length > 10, 'it says what to do')
  t.notMatch(`${ran.stdout}${ran.stderr}`, /\n\s+at |node_modules/, 'no stack')
  return problem.detail
}

const addVmware = (name: string, ...more: string[]): string[] => ['vmware', 'add', name, '--host', '127.0.0.1', '--port', String(lab.front.port), '--user', lab.user, ...more]
const thumbprint = ['--accept-thumbprint', lab.front.certificate.thumbprint]

await t.test('a wrong vSphere password', async (t) => {
  await refused(t, addVmware('vc', ...thumbprint), 'VSPHERE_LOGIN', 5, { LANDFALL_VMWARE_PASSWORD: 'wrong' })
  t.strictSame(await lab.cli.json(z.array(z.unknown()), ['vmware', 'list']), [], 'nothing was added')
})

await t.test('a certificate that nobody accepted, and a thumbprint of another one', async (t) => {
  const detail = await refused(t, addVmware('vc'), 'CERTIFICATE_UNTRUSTED', 5)
  t.match(detail, lab.front.certificate.thumbprint, 'it shows the thumbprint')
  await refused(t, addVmware('vc', '--accept-thumbprint', lab.front.certificate.thumbprint.replace(/^../, x => (x === '00' ? '11' : '00'))), 'CERTIFICATE_UNTRUSTED', 5)
})

await t.test('a token that is used twice, expired, or made up', async (t) => {
  const offer = await lab.cli.json(EnrolmentOffer, ['server', 'add', 'src-db01'])
  await lab.startAgent(offer)
  const config = join(lab.run.path, 'second-agent.json')
  await writeFile(config, JSON.stringify({ stateDirectory: join(lab.run.path, 'second-agent') }))
  const enrol = async (token: string): Promise<{ exitCode: number, stderr: string }> => await tool(NODE, [AGENT, 'enrol', '--appliance', new URL(lab.appliance.url).host, '--ca-sha256', offer.caSha256, '--config', config],
    { env: { LANDFALL_TOKEN: token }, allowedExitCodes: [1, 2, 3, 4, 5, 6] })
  const again = await enrol(offer.token)
  t.equal(again.exitCode, 5)
  t.match(again.stderr, /ENROLMENT_TOKEN_USED/)
  const short = await lab.cli.json(EnrolmentOffer, ['server', 'add', 'late', '--valid-hours', '0.0003'])
  await waitUntil('the token to expire', 10_000, () => Date.now() > Date.parse(short.expiresAtUtc))
  const late = await enrol(short.token)
  t.equal(late.exitCode, 5)
  t.match(late.stderr, /ENROLMENT_TOKEN_EXPIRED/)
  t.match((await enrol(randomBytes(32).toString('base64url'))).stderr, /ENROLMENT_TOKEN_INVALID/)
})

await t.test('an unknown job, server and VMware server', async (t) => {
  for (const action of ['show', 'start', 'cutover', 'validate']) await refused(t, ['job', action, 'nobody'], 'JOB_NOT_FOUND', 3)
  await refused(t, ['server', 'show', 'nobody'], 'SERVER_NOT_FOUND', 3)
  await refused(t, ['vmware', 'remove', 'nobody'], 'SERVER_NOT_FOUND', 3)
})

await t.test('places that do not exist or do not suffice are errors of the validation, and such a job does not start', async (t) => {
  t.equal((await lab.cli.run(addVmware('vc', ...thumbprint))).exitCode, 0)
  const cases: [string, string[], string][] = [
    ['small', ['--datastore', 'tiny', '--network', 'Servers', '--disk-format', 'flat'], 'DATASTORE_TOO_SMALL'],
    ['nostore', ['--datastore', 'nowhere', '--network', 'Servers'], 'DATASTORE_NOT_FOUND'],
    ['nonet', ['--datastore', 'datastore1', '--network', 'Nowhere'], 'NETWORK_NOT_FOUND'],
    ['taken', ['--datastore', 'datastore1', '--network', 'Servers', '--vm-name', 'landfall-appliance'], 'VM_NAME_TAKEN'],
    ['novolume', ['--datastore', 'datastore1', '--network', 'Servers', '--volume', '/nowhere'], 'VOLUME_NOT_FOUND'],
  ]
  for (const [name, options, code] of cases) {
    await lab.cli.json(JobView, ['job', 'create', name, '--source', 'src-db01', '--vmware', 'vc', ...options])
    await refused(t, ['job', 'validate', name], 'JOB_VALIDATION_FAILED', 4)
    const job = await lab.cli.json(JobView, ['job', 'show', name])
    t.strictSame(job.validation.filter(f => f.severity === 'error').map(f => f.code), [code], name)
    await refused(t, ['job', 'start', name], 'JOB_VALIDATION_FAILED', 4)
    t.equal((await lab.cli.run(['job', 'delete', name])).exitCode, 0)
  }
  t.strictSame(await loopsBelow(join(lab.run.path, 'datastores')), [], 'no disk was made or attached')
  t.strictSame(lab.follower.vms.map(vm => vm.name), ['landfall-appliance'], 'no VM was made')
})

await t.test('a cutover before the mirror is complete', async (t) => {
  await lab.cli.json(JobView, ['job', 'create', 'early', '--source', 'src-db01', '--vmware', 'vc', '--datastore', 'datastore1', '--network', 'Servers'])
  await refused(t, ['job', 'cutover', 'early'], 'JOB_TRANSITION_INVALID', 4)
  t.equal((await lab.cli.run(['job', 'delete', 'early'])).exitCode, 0)
})

await t.test('a schedule that never opens, and limits that are none, are refused and change nothing', async (t) => {
  const create = ['job', 'create', 'limits', '--source', 'src-db01', '--vmware', 'vc', '--datastore', 'datastore1', '--network', 'Servers']
  const never: string[][] = [
    ['--transmit-window', '08:00-08:00'], ['--transmit-every', '1h', '--transmit-window', '08:00-08:00'], ['--transmit-at', '2020-01-01T00:00:00Z'], ['--transmit-bytes', '1000'], ['--bandwidth-window', '01:00-01:00=5000'],
  ]
  for (const flags of never.slice(0, 1)) await refused(t, [...create, ...flags], 'SCHEDULE_NEVER_OPENS', 2)
  await lab.cli.json(JobView, create)
  for (const flags of never) await refused(t, ['job', 'set', 'limits', ...flags], 'SCHEDULE_NEVER_OPENS', 2)
  for (const flags of [['--bandwidth', '3499'], ['--ratio', '0:1'], ['--transmit-always', '--transmit-every', '1h']]) await refused(t, ['job', 'set', 'limits', ...flags], 'REQUEST_INVALID', 2)
  const { options } = await lab.cli.json(JobView, ['job', 'show', 'limits'])
  t.strictSame([options.transmitSchedule, options.bandwidthBytesPerS, options.bandwidthSchedule, options.ratio], [undefined, undefined, [], undefined])
  t.equal((await lab.cli.run(['job', 'delete', 'limits'])).exitCode, 0)
})

await t.test('an agent whose limits contradict each other does not start, and says which', async (t) => {
  const config = join(lab.run.path, 'contradicting-agent.json')
  for (const [queue, message] of [[{ memoryMiB: 128, folder: '/queue', maximumMiB: 64 }, /maximumMiB: .*128 MiB/], [{ maximumMiB: 500 }, /maximumMiB: there is no folder/]] as const) {
    await writeFile(config, JSON.stringify({ stateDirectory: join(lab.run.path, 'agent'), queue }))
    const { exitCode, stderr } = await tool(NODE, [AGENT, 'run', '--config', config], { allowedExitCodes: [2] })
    t.equal(exitCode, 2)
    t.match(stderr, message)
    t.match(stderr, /CONFIG_INVALID/)
    t.notMatch(stderr, /\n\s+at /, 'no stack')
  }
})

await t.test('a queue whose folder would be carried by the job is refused by the validation, and nothing begins', async (t) => {
  const config = join(lab.run.path, 'agent.json')
  const good = await readFile(config, 'utf8')
  const folder = join(lab.source.root, 'data/queue')
  await mkdir(folder, { mode: 0o700 })
  const withQueue = async (text: string): Promise<void> => {
    await lab.agent.stop()
    await writeFile(config, text)
    await lab.agent.start()
  }
  await withQueue(JSON.stringify({ ...JSON.parse(good) as object, queue: { folder } }))
  await lab.cli.json(JobView, ['job', 'create', 'queued', '--source', 'src-db01', '--vmware', 'vc', '--datastore', 'datastore1', '--network', 'Servers'])
  t.not((await lab.cli.run(['job', 'validate', 'queued'])).exitCode, 0)
  const job = await lab.cli.json(JobView, ['job', 'show', 'queued'])
  t.match(job, { state: 'invalid', built: undefined })
  t.match(job.validation.filter(({ severity }) => severity === 'error'), [{ code: 'QUEUE_FOLDER_REPLICATED', subject: folder, message: /the volume \/data, which is replicated/, advice: /Choose a folder on a file system that no job carries/ }])
  t.match(await lab.cli.run(['job', 'start', 'queued']), { exitCode: 4, stderr: /JOB_VALIDATION_FAILED/ })
  t.equal((await lab.cli.run(['job', 'delete', 'queued', '--delete-disks'])).exitCode, 0)
  await withQueue(good)
})

await t.test('garbage on the replication port does not disturb the agent that is connected', async (t) => {
  for (const garbage of [randomBytes(5000), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(0)]) {
    await new Promise<void>((resolve) => {
      const socket = connect(lab.appliance.replicationPort, '127.0.0.1', () => { socket.end(garbage) })
      socket.on('error', () => { resolve() })
      socket.on('close', () => { resolve() })
      socket.resume()
    })
  }
  const [server] = await lab.cli.json(z.array(z.object({ name: z.string(), status: z.string() })), ['server', 'list'])
  t.equal(server?.status, 'connected')
})

await t.test('a certificate that changed is refused, and everything that needs the server says so', async (t) => {
  await lab.front[Symbol.asyncDispose]()
  await using other = await startFront({
    vcsim: lab.vcsim, follower: lab.follower, certificate: await makeCertificate(lab.run.path, 'changed'), upstreamCertificate: lab.front.certificate,
    datacenter: await lab.vcsim.datacenterId(), datastore: 'datastore1', port: lab.front.port,
  })
  t.equal(other.port, lab.front.port)
  await refused(t, ['vmware', 'list', '--places'], 'CERTIFICATE_CHANGED', 5)
})
