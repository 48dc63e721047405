/** A source with a valid certificate that means harm: what it may say over its link, against the real replica on a disk. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { NO_MIRROR_PROGRESS } from '../../../src/domain/progress.ts'
import { linkLog } from '../../../src/logging/logger.ts'
import { linkSourceServer } from '../../../src/source/link-source-server.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { listingEntries } from '../../../src/wire/listing-codec.ts'
import { memoryLinkPair } from '../../../src/wire/memory-link.ts'
import type { AppliedFailure, Message } from '../../../src/wire/messages.ts'
import { encodeOperations } from '../../../src/wire/operation-codec.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { directory, fifo, file, link, metadata, METADATA, rel, remove, rename, symlink, write, xattr } from '../../zoo/tree-pair.ts'
import { describeCanary, makeCanary } from '../../race/canary.ts'

const LIMIT_MS = 60_000
const soon = (): AbortSignal => AbortSignal.timeout(LIMIT_MS)

interface Attack extends AsyncDisposable {
  send(message: Message): Promise<void>
  /** sends operations and waits until they are applied; what failed */
  operate(...operations: FileOperation[]): Promise<AppliedFailure[]>
  /** bytes of the hashes that come back */
  hash(path: string, lengthBytes: number, blockBytes?: number): Promise<number>
  /** names that come back */
  list(path: string): Promise<string[]>
  complete(): Promise<void>
  /** how the mirror ended */
  readonly outcome: Promise<unknown>
}

/** A mirror of this directory, as volume 0, in which the other end is ours to command. */
async function attack(path: string): Promise<Attack> {
  const links = memoryLinkPair()
  const messages = links.appliance.receive()[Symbol.asyncIterator]()
  const server = linkSourceServer({
    link: links.appliance, messages, sourceId: 'evil', hello: { kind: 'hello', protocolVersion: 1, agentVersion: '1', captureEpoch: '', jobId: '' }, clock: systemClock, log: linkLog.child({}, { level: 'silent' }),
  })
  const target = await openPosixTargetTree(path, soon())
  const mirroring = server.mirror({ compare: 'none', orphans: 'keep' }, new Map([[0, target]]), () => undefined, soon())
  const outcome = (async () => {
    try {
      return await mirroring
    } catch (error) {
      return error
    }
  })()
  const failures: AppliedFailure[] = []
  const waiting: { done: (message: Message) => boolean, resolve: () => void }[] = []
  const id = Promise.withResolvers<number>()
  const receiving = (async () => {
    try {
      for await (const message of links.agent.receive()) {
        if (message.type === 'control' && message.control.kind === 'mirror') id.resolve(message.control.id)
        if (message.type === 'control' && message.control.kind === 'cancel') await links.agent.send({ type: 'control', control: { kind: 'cancelled', id: message.control.id } }, soon())
        if (message.type === 'control' && message.control.kind === 'acknowledge') failures.push(...message.control.failures)
        for (const waiter of [...waiting]) {
          if (!waiter.done(message)) continue
          waiting.splice(waiting.indexOf(waiter), 1)
          waiter.resolve()
        }
      }
    } catch {
      // the appliance has ended it
    }
  })()
  const until = async (done: (message: Message) => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    waiting.push({ done, resolve: () => { resolve(undefined) } })
    await Promise.race([promise, outcome])
  }
  let [sequence, request] = [0, 0]
  const mirrorId = await id.promise
  return {
    outcome,
    send: async message => { await links.agent.send(message, soon()) },
    operate: async (...operations) => {
      const mine = ++sequence
      const applied = until(message => message.type === 'control' && message.control.kind === 'acknowledge' && message.control.applied >= mine)
      await links.agent.send({ type: 'operations', volume: 0, sequence: mine, batch: encodeOperations(operations) }, soon())
      await applied
      return failures.splice(0)
    },
    hash: async (path, lengthBytes, blockBytes = 4096) => {
      const mine = ++request
      let bytes = -1
      const answered = until(message => {
        if (message.type !== 'hashes' || message.request !== mine) return false
        bytes = message.hashes.length
        return true
      })
      await links.agent.send({ type: 'hash', volume: 0, request: mine, path: rel(path), offset: 0, lengthBytes, blockBytes }, soon())
      await answered
      return bytes
    },
    list: async path => {
      const mine = ++request
      const names: string[] = []
      const answered = until(message => {
        if (message.type !== 'listing' || message.request !== mine) return false
        for (const entry of listingEntries(message.page)) names.push(entry.name.toString())
        if (message.last) return true
        void links.agent.send({ type: 'control', control: { kind: 'listed', request: mine, bytes: message.page.length } }, soon())
        return false
      })
      await links.agent.send({ type: 'list', volume: 0, request: mine, directories: [rel(path)] }, soon())
      await answered
      return names
    },
    complete: async () => { await links.agent.send({ type: 'control', control: { kind: 'mirror-complete', id: mirrorId, progress: NO_MIRROR_PROGRESS } }, soon()) },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await links.agent[Symbol.asyncDispose]()
      await Promise.all([outcome, receiving])
      await target[Symbol.asyncDispose]()
    },
  }
}

const node = (path: string, nodeType: 'character' | 'block', deviceMajor: number, deviceMinor: number): FileOperation => ({ kind: 'node', path: rel(path), nodeType, deviceMajor, deviceMinor, metadata: METADATA })

async function withCanary(t: Test, work: (attack: Attack, inside: string, outside: string) => Promise<void>): Promise<void> {
  using volume = mountLoop('ext4', 128)
  const [inside, outside] = [join(volume.path, 'inside'), join(volume.path, 'outside')]
  mkdirSync(inside)
  makeCanary(outside)
  const before = describeCanary(outside)
  {
    await using evil = await attack(inside)
    await work(evil, inside, outside)
  }
  t.same(describeCanary(outside), before, 'nothing outside was touched')
}

void t.test('links that are planted lead no operation, listing or hash outside', { skip: MOUNT_SKIP }, async t => {
  await withCanary(t, async (evil, inside, outside) => {
    t.same(await evil.operate(directory('d'), symlink('d/up', '../../outside'), symlink('abs', outside), symlink('d/file', `${outside}/a`), symlink('loop', 'loop'), file('mine', 'mine')), [])
    for (const through of ['d/up', 'abs']) {
      const failed = await evil.operate(
        file(`${through}/a`, 'evil'), file(`${through}/new`, 'evil'), write(`${through}/a`, 0, 'evil'), { kind: 'resize', path: rel(`${through}/a`), sizeBytes: 0 }, { kind: 'punch', path: rel(`${through}/a`), offset: 0, lengthBytes: 4096 },
        metadata(`${through}/a`, { mode: 0o777, uid: 7, xattrs: [xattr('user.evil', 'x')] }), directory(`${through}/e`, { mode: 0o777 }), symlink(`${through}/l`, '/'), fifo(`${through}/new`), node(`${through}/new`, 'block', 8, 0),
        link(`${through}/new`, 'mine'), link('stolen', `${through}/a`), rename('mine', `${through}/mine`), rename(`${through}/a`, 'stolen'), directory(`${through}/e/e/new`),
      )
      t.equal(failed.length, 15, `all 15 through ${through} are refused`)
      t.ok(failed.every(f => ['ELOOP', 'ENOTDIR', 'EXDEV', 'ENOENT'].includes(f.errno)), JSON.stringify([...new Set(failed.map(f => f.errno))]))
      t.same(await evil.operate(remove(`${through}/a`), remove(`${through}/e`)), [], 'removing what is not there is fine')
      t.same(await evil.list(through), [], 'a link is no directory')
      t.same(await evil.list(`${through}/e`), [])
      t.equal(await evil.hash(`${through}/a`, 4096), 0)
    }
    t.notOk(existsSync(join(inside, 'stolen')))
    // at the last step: the link itself is meant
    t.same((await evil.operate(write('d/file', 0, 'evil'), { kind: 'resize', path: rel('d/file'), sizeBytes: 1 })).map(f => f.errno), ['ENOENT', 'ENOENT'])
    t.equal(await evil.hash('d/file', 4096), 0)
    t.same(await evil.operate(metadata('d/file', { mode: 0o777, uid: 7 }), link('d/second', 'd/file'), rename('d/file', 'd/moved'), file('d/moved', 'now a file'), remove('abs'), remove('d')), [])
    t.same(readdirSync(inside).sort(), ['loop', 'mine'])
  })
})

void t.test('devices and FIFOs are made and never opened', { skip: MOUNT_SKIP }, async t => {
  await withCanary(t, async (evil, inside) => {
    // a read of zero never ends, opening the FIFO would wait for a writer, watchdog and tape would act
    t.same(await evil.operate(node('zero', 'character', 1, 5), fifo('fifo'), node('watchdog', 'character', 10, 130), node('tape', 'character', 9, 0), node('disk', 'block', 8, 0), directory('d')), [])
    const started = performance.now()
    for (const name of ['zero', 'fifo', 'watchdog', 'tape', 'disk']) {
      t.equal(await evil.hash(name, 256 * 1024 * 1024), 0, name)
      t.same(await evil.list(name), [], name)
      t.same((await evil.operate(write(name, 0, 'evil'), { kind: 'resize', path: rel(name), sizeBytes: 1 }, { kind: 'punch', path: rel(name), offset: 0, lengthBytes: 1 })).map(f => f.errno), ['ENOENT', 'ENOENT', 'ENOENT'], name)
      t.same(await evil.operate(metadata(name, { mode: 0o4777 }), link(`d/${name}`, name)), [], name)
    }
    t.ok(performance.now() - started < 10_000, 'nothing waits')
    t.same(await evil.operate(file('zero', 'replaced')), [])
    t.equal(readFileSync(join(inside, 'zero'), 'utf8'), 'replaced')
  })
})

void t.test('locked, unreadable and set-id things are only data, and can be removed', { skip: MOUNT_SKIP }, async t => {
  await withCanary(t, async (evil, inside) => {
    const locks = { flags: 0x30, mode: 0 }
    t.same(await evil.operate(
      directory('d', { mode: 0o7000 }), directory('d/e'), file('d/e/f', 'x', { ...locks, mode: 0o6777 }), directory('d/e/sealed', locks), metadata('d/e', locks), metadata('d', locks),
      file('x', 'x', { xattrs: [{ name: Buffer.from('security.capability'), value: Buffer.from('01000002ffffffff000000000000000000000000', 'hex') }, xattr('trusted.overlay.opaque', 'y'), xattr('trusted.overlay.redirect', '/etc')] }), metadata('', locks),
    ), [])
    t.match(execFileSync('lsattr', ['-d', inside], { encoding: 'utf8' }), /^[^ ]*i/)
    t.same(await evil.operate(file('d/e/new', 'x'), remove('d'), remove('x')), [])
    t.same(readdirSync(inside), [])
    t.same(await evil.operate(metadata('', { mode: 0o755 })), [], 'and the root is unlocked')
    chmodSync(inside, 0o700)
  })
})

void t.test('a tree deeper than any path is listed as far as it can be named, and removed', { skip: MOUNT_SKIP }, async t => {
  await withCanary(t, async (evil, inside) => {
    const deep = (levels: number): string => Array<string>(levels).fill('d'.repeat(100)).join('/')
    for (let i = 1; i <= 39; i++) t.same(await evil.operate(directory(deep(i))), [])
    for (let round = 0; round < 5; round++) {
      // what was made so far goes to the end of another such path
      t.same(await evil.operate(rename('d'.repeat(100), `kept`), ...Array.from({ length: 39 }, (_, i) => directory(deep(i + 1))), rename('kept', `${deep(39)}/${'d'.repeat(100)}`)), [])
    }
    t.equal((await evil.list(deep(39))).length, 1)
    t.same(await evil.operate(remove('d'.repeat(100))), [])
    t.same(readdirSync(inside), [])
  })
})

void t.test('hashes of a file of many terabytes are answered in no time', { skip: MOUNT_SKIP }, async t => {
  await withCanary(t, async (evil) => {
    const size = 3 * 2 ** 40
    t.same(await evil.operate({ kind: 'file', path: rel('f'), sizeBytes: size, complete: true, metadata: METADATA, extents: [] }), [])
    const started = performance.now()
    t.equal(await evil.hash('f', 256 * 1024 * 1024, 4096), 65536 * 16)
    t.equal(await evil.hash('f', 256 * 1024 * 1024, 1024 * 1024), 256 * 16)
    t.ok(performance.now() - started < 5000)
    t.same((await evil.operate({ kind: 'resize', path: rel('f'), sizeBytes: Number.MAX_SAFE_INTEGER })).map(f => f.errno), ['EFBIG'], 'larger than the file system allows')
  })
})

void t.test('a source that fills the disk, or uses up all inodes, ends its own job and nothing else', { skip: MOUNT_SKIP }, async t => {
  const own = statfsSync('/')
  for (const fill of ['space', 'inodes']) {
    using volume = mountLoop('ext4', 32)
    await using evil = await attack(volume.path)
    for (let i = 0; i < 200; i++) {
      const ended = await Promise.race([evil.outcome, (async () => {
        await evil.operate(...(fill === 'space'
          ? [{ kind: 'file', path: rel(String(i)), sizeBytes: 1 << 20, complete: true, metadata: METADATA, extents: [{ offset: 0, data: Buffer.alloc(1 << 20, 1) }] } satisfies FileOperation]
          : Array.from({ length: 500 }, (_, n) => file(`${String(i)}-${String(n)}`, ''))))
        return undefined
      })()])
      if (ended !== undefined) break
    }
    t.match(await evil.outcome, { code: 'REPLICA_FULL' }, fill)
  }
  t.ok(own.bavail - statfsSync('/').bavail < 256 * 1024 * 1024 / own.bsize, 'the appliance keeps its space')
})

void t.test('what is to be set aside where there is no folder for it is refused by name, and stays', { skip: MOUNT_SKIP }, async t => {
  await withCanary(t, async (evil, inside) => {
    t.same(await evil.operate(directory('d'), file('d/f', 'mine'), symlink('up', '../outside')), [])
    const failed = await evil.operate(...['d/f', 'd', 'up', 'up/a', '', 'nowhere'].map((path): FileOperation => ({ kind: 'set-aside', path: rel(path) })), file('after', 'x'))
    t.same(failed.map(({ errno, operation, path }) => `${operation} ${Buffer.from(path, 'base64').toString()} ${errno}`), [
      'set-aside d/f EOPNOTSUPP', 'set-aside d EOPNOTSUPP', 'set-aside up EOPNOTSUPP', 'set-aside up/a EOPNOTSUPP', 'set-aside  EINVAL', 'set-aside nowhere EOPNOTSUPP',
    ])
    t.same(readdirSync(inside).sort(), ['after', 'd', 'up'])
    t.equal(readFileSync(join(inside, 'd/f'), 'utf8'), 'mine')
  })
})

void t.test('what was not asked for ends the connection', { skip: MOUNT_SKIP }, async t => {
  const batch = encodeOperations([file('evil', 'x')])
  const cases: Record<string, Message[]> = {
    'operations for another volume': [{ type: 'operations', volume: 1, sequence: 1, batch }],
    'a gap in the sequence': [{ type: 'operations', volume: 0, sequence: 2, batch }],
    'a sequence again': [{ type: 'operations', volume: 0, sequence: 1, batch: encodeOperations([remove('x')]) }, { type: 'operations', volume: 0, sequence: 1, batch }],
    'a list of another volume': [{ type: 'list', volume: 7, request: 1, directories: [rel('')] }],
    'a hash in another volume': [{ type: 'hash', volume: 7, request: 1, path: rel('x'), offset: 0, lengthBytes: 1, blockBytes: 1 }],
    'pages taken that were not sent': [{ type: 'list', volume: 0, request: 1, directories: [rel('')] }, { type: 'control', control: { kind: 'listed', request: 1, bytes: 2 ** 40 } }],
    'an answer to nothing': [{ type: 'control', control: { kind: 'drained', id: 99, changes: 0, drainMs: 0, progress: { queued: 0, changesApplied: 0, bytesSent: 0, recoveryPointLatencyMs: 0, latencyMsP50: 0, latencyMsP99: 0 } } }],
    'an acknowledgement': [{ type: 'control', control: { kind: 'acknowledge', applied: 1, durable: 1, failures: [] } }],
    'a second greeting': [{ type: 'control', control: { kind: 'hello', protocolVersion: 1, agentVersion: '1', captureEpoch: '', jobId: '' } }],
    'an order that only an appliance gives': [{ type: 'control', control: { kind: 'power-off', id: 1 } }],
    'hashes that nobody asked for': [{ type: 'hashes', volume: 0, request: 1, hashes: Buffer.alloc(16) }],
    'a thousand requests at once': Array.from({ length: 1000 }, (_, i): Message => ({ type: 'list', volume: 0, request: i + 1, directories: Array.from({ length: 1024 }, () => rel('')) })),
  }
  for (const [title, messages] of Object.entries(cases)) {
    const path = t.testdir()
    await using evil = await attack(path)
    try {
      for (const message of messages) await evil.send(message)
    } catch {
      // it was quick
    }
    t.match(await evil.outcome, { code: /^(LINK_LOST|FRAME_INVALID)$/ }, title)
    t.notOk(existsSync(join(path, 'evil')), `${title}: nothing was written`)
  }
})

void t.test('an honest end is still one', { skip: MOUNT_SKIP }, async t => {
  const path = t.testdir()
  await using good = await attack(path)
  t.same(await good.operate(file('f', 'x')), [])
  await good.complete()
  t.match(await good.outcome, { progress: NO_MIRROR_PROGRESS })
  t.equal(lstatSync(join(path, 'f')).size, 1)
})
