import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { linkLog } from '../../../src/logging/logger.ts'
import { SourceRegistry } from '../../../src/source/connected-sources.ts'
import { openSourceListener, type SourceListener, type SourceListenerOptions } from '../../../src/source/source-listener.ts'
import { runSourceSession } from '../../../src/source/source-session.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { openLinkIdentity } from '../../../src/posix/linking.ts'
import type { Identity } from '../../../src/trust/peer-tls.ts'
import { encodeFrameHead } from '../../../src/wire/frame.ts'
import { encodeMessage } from '../../../src/wire/message-codec.ts'
import type { Link } from '../../../src/wire/link.ts'
import { PROTOCOL_VERSION } from '../../../src/wire/messages.ts'
import { acceptTlsLink, dialTlsLink } from '../../../src/wire/tls-link.ts'
import { testAuthority } from '../trust/authority.ts'
import { dialRaw, relay } from '../wire/tls-ends.ts'
import { change, contentOf, directory, file, ROOTS, soon, TestSource } from './conversation.ts'

const root = t.testdir({ ca: {}, other: {} })
const ours = await testAuthority(join(root, 'ca'))
const theirs = await testAuthority(join(root, 'other'))
const identity = await ours.agent('source-1')

const openAs = (as: Identity): SourceListenerOptions['openLink'] => async (socket, signal) => await acceptTlsLink(openLinkIdentity(as), socket, signal)

interface Port extends AsyncDisposable { listener: SourceListener, registry: SourceRegistry }

async function openPort(options: Partial<SourceListenerOptions> = {}): Promise<Port> {
  const registry = new SourceRegistry()
  const listener = await openSourceListener({
    host: '127.0.0.1', port: 0, openLink: openAs(ours.server), isEnrolled: async id => id.startsWith('source-'),
    onConnected: async server => { await registry.add(server) }, applianceVersion: '1', clock: systemClock, log: linkLog.child({}, { level: 'silent' }), ...options,
  })
  return { listener, registry, [Symbol.asyncDispose]: async () => { await registry[Symbol.asyncDispose](); await listener[Symbol.asyncDispose]() } }
}

const dial = async (port: number, as: Identity): Promise<Link> => await dialTlsLink(openLinkIdentity(as), { host: '127.0.0.1', port }, soon())

/** An agent whose words the test chooses. */
async function dialed(port: Port, as: Partial<Identity>): Promise<TLSSocket> {
  const socket = dialRaw(port.listener.port, as)
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}

interface Connected extends AsyncDisposable { session: Promise<void>, cut: () => void }

/** An agent that serves over a new connection. */
async function serve(port: Port, source: TestSource, as: Identity = identity): Promise<Connected> {
  const between = await relay(port.listener.port)
  const stop = new AbortController()
  const session = runSourceSession(source.sessionOptions(await dial(between.port, as)), stop.signal)
  session.catch(() => undefined)
  return { session, cut: between.cut, [Symbol.asyncDispose]: async () => { stop.abort(); await Promise.allSettled([session]); between.cut() } }
}

/** The agent and its appliance talk: the port works. */
async function works(port: Port): Promise<boolean> {
  await using source = new TestSource()
  await using agents = new AsyncDisposableStack()
  agents.use(await serve(port, source, await ours.agent('source-works')))
  const server = await port.registry.waitFor('source-works', soon())
  return (await server.describe(soon())).hostName === 'source'
}

/** Resolves when the connection has ended; gives the error, if one was the reason. */
async function end(socket: { once(event: string, heard: (value: unknown) => void): unknown, resume(): unknown }): Promise<unknown> {
  let failure: unknown
  socket.once('error', error => { failure = error })
  socket.resume()
  await new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
  return failure
}

t.test('a whole mirror and drain over TLS makes the replica equal', async t => {
  await using port = await openPort()
  await using source = new TestSource()
  const names = Array.from({ length: 12_000 }, (_, i) => `many/${'long-name-'.repeat(8)}${String(i).padStart(6, '0')}`)
  await change(source.tree, directory('many'), ...names.map(name => file(name, name.slice(-6))))
  await change(source.tree, file('big', 'x'.repeat(3_000_000)))
  await using agents = new AsyncDisposableStack()
  agents.use(await serve(port, source))
  const server = await port.registry.waitFor('source-1', soon())
  t.equal(port.registry.find('source-1'), server)
  const targets = new Map([[1, new MemoryTree()]])
  await server.prepare('job-1', ROOTS, [], soon())
  await server.mirror({ compare: 'none', orphans: 'delete' }, targets, () => undefined, AbortSignal.timeout(60_000))
  await server.mirror({ compare: 'attributes', orphans: 'delete' }, targets, () => undefined, AbortSignal.timeout(60_000))
  await server.mirror({ compare: 'data', orphans: 'delete' }, targets, () => undefined, AbortSignal.timeout(60_000))
  await server.drain({ freeze: true, holdMs: 10_000 }, targets, () => undefined, soon())
  t.same(await contentOf(targets.get(1) ?? new MemoryTree()), await contentOf(source.tree))
})

t.test('a connection killed in the middle of a mirror fails it with LINK_LOST; the next one completes it', async t => {
  await using port = await openPort()
  await using source = new TestSource()
  await change(source.tree, ...Array.from({ length: 3000 }, (_, i) => file(String(i), 'x'.repeat(1000))))
  const tree = new MemoryTree()
  {
    await using agent = await serve(port, source)
    const server = await port.registry.waitFor('source-1', soon())
    await server.prepare('job-1', ROOTS, [], soon())
    const going = tree.apply.bind(tree)
    tree.apply = async (batch, signal) => {
      agent.cut()
      return await going(batch, signal)
    }
    await t.rejects(server.mirror({ compare: 'none', orphans: 'delete' }, new Map([[1, tree]]), () => undefined, soon()), { code: 'LINK_LOST' })
    await t.rejects(agent.session, { code: 'LINK_LOST' })
    t.equal(port.registry.find('source-1'), undefined)
    tree.apply = going
  }
  await using agents = new AsyncDisposableStack()
  agents.use(await serve(port, source))
  const server = await port.registry.waitFor('source-1', soon())
  t.equal(server.captureEpoch, 'epoch-1', 'the capture went on')
  await server.mirror({ compare: 'attributes', orphans: 'delete' }, new Map([[1, tree]]), () => undefined, soon())
  t.same(await contentOf(tree), await contentOf(source.tree))
})

t.test('a newer connection of the same source replaces the older one', async t => {
  await using port = await openPort()
  await using source = new TestSource()
  await using older = await serve(port, source)
  const first = await port.registry.waitFor('source-1', soon())
  await using newer = await serve(port, source)
  await new Promise<void>(resolve => { first.ended.addEventListener('abort', () => { resolve() }) })
  await older.session
  const second = await port.registry.waitFor('source-1', soon())
  t.not(second, first)
  t.equal(await Promise.race([newer.session.then(() => 'ended'), Promise.resolve('serves')]), 'serves')
  t.match(await second.describe(soon()), { hostName: 'source' })
})

t.test('an agent of another protocol version is told so with PROTOCOL_VERSION', async t => {
  await using port = await openPort()
  const link = await dial(port.listener.port, identity)
  await link.send({ type: 'control', control: { kind: 'hello', protocolVersion: 99, agentVersion: '9', captureEpoch: '', jobId: '' } }, soon())
  const answers = []
  for await (const message of link.receive()) answers.push(message)
  t.match(answers, [{ type: 'control', control: { kind: 'refuse', code: 'PROTOCOL_VERSION' } }])
  t.equal(port.registry.find('source-1'), undefined)
  await link[Symbol.asyncDispose]()
})

t.test('the agent ends with the code of the refusal', async t => {
  await using port = await openPort({ isEnrolled: async () => false })
  await using source = new TestSource()
  await using agent = await serve(port, source)
  await t.rejects(agent.session, { code: 'PEER_UNTRUSTED' })
})

t.test('an agent of another authority, or without a certificate, does not get in, and learns why', async t => {
  await using port = await openPort()
  const stranger = { ...await theirs.agent('source-1'), caPem: ours.server.caPem }
  await using source = new TestSource()
  await t.rejects(runSourceSession(source.sessionOptions(await dial(port.listener.port, stranger)), soon()), { code: 'PEER_UNTRUSTED' }, 'another authority')
  for (const as of [stranger, {}]) {
    const socket = await dialed(port, as)
    const said: Buffer[] = []
    socket.on('data', (chunk: Buffer) => { said.push(chunk) })
    await end(socket)
    t.match(Buffer.concat(said).toString('latin1'), '"code":"PEER_UNTRUSTED"')
  }
  t.ok(await works(port))
})

t.test('an appliance of another authority, and an agent in its place, are not believed by the agent', async t => {
  await using port = await openPort({ openLink: openAs(theirs.server) })
  await t.rejects(dial(port.listener.port, identity), { code: 'PEER_UNTRUSTED' })
  const impostor = { ...await ours.agent('source-2'), caPem: ours.server.caPem }
  await using other = await openPort({ openLink: openAs(impostor) })
  await t.rejects(dial(other.listener.port, identity), { code: 'PEER_UNTRUSTED' })
})

t.test('a certificate whose name is no source, and a source that is not enrolled, are refused', async t => {
  await using port = await openPort()
  for (const commonName of ['unknown', 'not a source/../x']) {
    const link = await dial(port.listener.port, await ours.agent(commonName))
    await link.send({ type: 'control', control: { kind: 'hello', protocolVersion: PROTOCOL_VERSION, agentVersion: '1', captureEpoch: '', jobId: '' } }, soon()).catch(() => undefined)
    const kinds = []
    for await (const message of link.receive()) if (message.type === 'control') kinds.push(message.control.kind)
    t.notOk(kinds.includes('welcome'), commonName)
    await link[Symbol.asyncDispose]()
  }
  t.ok(await works(port))
})

t.test('plain TCP and garbage on the port are closed and touch nobody else', async t => {
  await using port = await openPort({ handshakeMs: 300 })
  await using source = new TestSource()
  await using agents = new AsyncDisposableStack()
  agents.use(await serve(port, source))
  const server = await port.registry.waitFor('source-1', soon())
  for (const text of ['GET / HTTP/1.1\r\n\r\n', 'x'.repeat(100_000), '\x16\x03\x01\xff\xff\x01']) {
    const socket = connectPlain(port.listener.port, '127.0.0.1')
    socket.write(Buffer.from(text, 'latin1'))
    await end(socket)
  }
  const silent = connectPlain(port.listener.port, '127.0.0.1')
  await end(silent)
  t.match(await server.describe(soon()), { hostName: 'source' })
  t.ok(await works(port))
})

t.test('an authenticated peer that talks garbage, greets half, says something else, or nothing, is closed', async t => {
  await using port = await openPort({ handshakeMs: 300 })
  const hold = encodeMessage({ type: 'control', control: { kind: 'hold', id: 1 } })
  const hello = encodeMessage({ type: 'control', control: { kind: 'hello', protocolVersion: PROTOCOL_VERSION, agentVersion: '1', captureEpoch: '', jobId: '' } })
  for (const [title, bytes] of Object.entries({
    'garbage': Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'half a frame, then silence': Buffer.concat([hello.head, hello.body]).subarray(0, 30),
    'no greeting': Buffer.concat([hold.head, hold.body]), 'silence': Buffer.alloc(0), 'goodbye': encodeFrameHead('bye', 0, Buffer.alloc(0), Buffer.alloc(0)),
  })) {
    const socket = await dialed(port, identity)
    socket.write(bytes)
    await end(socket)
    t.equal(port.registry.find('source-1'), undefined, title)
  }
  t.ok(await works(port))
})

t.test('garbage behind the greeting ends that connection alone', async t => {
  await using port = await openPort()
  const socket = await dialed(port, identity)
  const { head, body } = encodeMessage({ type: 'control', control: { kind: 'hello', protocolVersion: PROTOCOL_VERSION, agentVersion: '1', captureEpoch: '', jobId: '' } })
  socket.write(Buffer.concat([head, body]))
  const server = await port.registry.waitFor('source-1', soon())
  socket.write(Buffer.alloc(64, 0xee))
  await new Promise<void>(resolve => { server.ended.addEventListener('abort', () => { resolve() }) })
  t.match(server.ended.reason, { code: 'LINK_LOST', cause: { code: 'FRAME_INVALID' } })
  socket.destroy()
  t.ok(await works(port))
})

t.test('strangers are let in up to a limit, and those who know who they are beside them', async t => {
  await using port = await openPort({ handshakeMs: 2000 })
  const sockets = Array.from({ length: 300 }, () => connectPlain(port.listener.port, '127.0.0.1'))
  for (const socket of sockets) socket.on('error', () => undefined)
  const refused = await Promise.all(sockets.slice(256).map(end))
  t.equal(refused.length, 44)
  for (const socket of sockets) socket.destroy()
  t.ok(await works(port))
})

t.test('a port that is taken is CONFIG_INVALID', async t => {
  await using port = await openPort()
  await t.rejects(openPort({ port: port.listener.port }), { code: 'CONFIG_INVALID' })
})

t.test('closing the port ends all and can be done twice', async t => {
  const port = await openPort()
  await using source = new TestSource()
  await using agent = await serve(port, source)
  await port.registry.waitFor('source-1', soon())
  await port[Symbol.asyncDispose]()
  await port[Symbol.asyncDispose]()
  await agent.session.catch((error: unknown) => { t.match(error, { code: 'LINK_LOST' }) })
  await t.rejects(dial(port.listener.port, identity), AppError)
})
