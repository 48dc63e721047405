import t from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { OperationIntake } from '../../../src/source/operation-intake.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { memoryLinkPair } from '../../../src/wire/memory-link.ts'
import { encodeOperations } from '../../../src/wire/operation-codec.ts'
import { file, soon } from './conversation.ts'

/** A replica whose disk does not answer until it is told to. */
class StuckTree extends MemoryTree {
  readonly go = Promise.withResolvers<undefined>()
  override async apply(...args: Parameters<MemoryTree['apply']>): ReturnType<MemoryTree['apply']> {
    await this.go.promise
    return await super.apply(...args)
  }
}

t.test('messages that hold nothing fill the queue too: a stuck replica is not buried in them', async t => {
  const tree = new StuckTree()
  const links = memoryLinkPair()
  await using intake = new OperationIntake(links.appliance, { targets: new Map([[0, tree]]), clock: systemClock }, 0)
  let taken = 0
  const flood = (async () => {
    for (let sequence = 1; sequence <= 20_000; sequence++) {
      await intake.put({ type: 'operations', volume: 0, sequence, batch: encodeOperations([]) })
      taken = sequence
    }
  })()
  await new Promise(resolve => setTimeout(resolve, 50))
  t.ok(taken > 100 && taken < 5000, `${String(taken)} taken`)
  tree.go.resolve(undefined)
  await flood
  await intake.finish()
  t.pass('all of them are applied when it goes on')
})

t.test('a source that takes no acknowledgements of what failed gets no more work done, and is stopped all the same', async t => {
  const tree = new MemoryTree()
  const links = memoryLinkPair()
  const intake = new OperationIntake(links.appliance, { targets: new Map([[0, tree]]), clock: systemClock }, 0)
  // each fails: the directory is not there
  const bad = encodeOperations(Array.from({ length: 2000 }, (_, i) => file(`missing/${'x'.repeat(200)}/${String(i)}`, '')))
  let taken = 0
  const flood = (async () => {
    for (let sequence = 1; sequence <= 200; sequence++) {
      await intake.put({ type: 'operations', volume: 0, sequence, batch: bad })
      taken = sequence
    }
  })()
  await new Promise(resolve => setTimeout(resolve, 500))
  t.ok(taken < 100, `${String(taken)} batches taken`)
  await Promise.race([intake[Symbol.asyncDispose](), new Promise((_, reject) => { soon().addEventListener('abort', () => { reject(new Error('it does not stop')) }) })])
  await flood
})

/** A replica that applies one batch for each time it is let. */
class SlowTree extends MemoryTree {
  readonly #turns: (() => void)[] = []
  override async apply(...args: Parameters<MemoryTree['apply']>): ReturnType<MemoryTree['apply']> {
    await new Promise<void>(resolve => { this.#turns.push(resolve) })
    return await super.apply(...args)
  }
  async let(): Promise<void> {
    while (this.#turns.length === 0) await new Promise(resolve => setImmediate(resolve))
    this.#turns.shift()?.()
  }
}

t.test('a flush waits for what was taken before it was asked for, not for what comes behind', async t => {
  const tree = new SlowTree()
  const links = memoryLinkPair()
  // by itself it flushes after an hour
  await using intake = new OperationIntake(links.appliance, { targets: new Map([[0, tree]]), clock: systemClock, idleMs: 3_600_000, maxDelayMs: 3_600_000 }, 0)
  const durable = (async () => {
    for await (const message of links.agent.receive()) {
      if (message.type === 'control' && message.control.kind === 'acknowledge' && message.control.durable > 0) return message.control.durable
    }
    return 0
  })()
  await intake.put({ type: 'operations', volume: 0, sequence: 1, batch: encodeOperations([file('a', 'x')]) })
  intake.flush()
  for (let sequence = 2; sequence <= 20; sequence++) await intake.put({ type: 'operations', volume: 0, sequence, batch: encodeOperations([file(`b${String(sequence)}`, 'x')]) })
  await tree.let()
  t.ok(await durable < 20, 'what came first is durable before the rest is applied')
  for (let sequence = 2; sequence <= 20; sequence++) await tree.let()
  await intake.finish()
})
