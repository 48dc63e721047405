/** A source under load is frozen and drained as the cutover does it: what its databases said was committed is on the replica, and they recover there. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { freeze } from '../../../src/replication/freezer.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { tool } from '../../lab/tool.ts'
import { converse, TestSource } from '../../unit/source/conversation.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { ownedByPostgres, PostgresCluster, POSTGRES_SKIP } from './postgres-cluster.ts'

const COMMITTER = new URL('sqlite-committer.py', import.meta.url).pathname
const CLIENTS = 4
const LOAD_MS = 3000

t.setTimeout(300_000)

async function until(reached: () => boolean, ms: number): Promise<void> {
  for (const deadline = Date.now() + ms; !reached();) {
    if (Date.now() > deadline) throw new Error('it did not come to that')
    await new Promise(resolve => { setTimeout(resolve, 20) })
  }
}

for (const type of ['ext4', 'xfs'] as const) {
  void t.test(`no commit that PostgreSQL or SQLite told of is missing on the replica of a frozen ${type}, and both recover`, { skip: MOUNT_SKIP === false ? POSTGRES_SKIP : MOUNT_SKIP }, async t => {
    const signal = AbortSignal.timeout(280_000)
    using volume = mountLoop(type, 700)
    const base = mkdtempSync(join(tmpdir(), 'landfall-point-'))
    t.teardown(() => { rmSync(base, { recursive: true, force: true }) })
    for (const directory of [base, dirname(volume.path)]) chmodSync(directory, 0o711)
    const replica = join(base, 'replica')
    mkdirSync(replica)

    const sockets = await ownedByPostgres(join(base, 'sockets'))
    const cluster = new PostgresCluster(join(await ownedByPostgres(join(volume.path, 'pg')), 'data'), sockets)
    await cluster.create()
    await using stopping = new AsyncDisposableStack()
    stopping.defer(async () => { await cluster.stop() })
    await using source = new TestSource({
      openTree: openPosixSourceTree, freeze, resolve: () => volume.path,
      openChanges: async (volumes, inner) => await openFanotifyChangeSource({ volumes, clock: systemClock }, inner),
    })
    await using talk = await converse(source)
    await using tree = await openPosixTargetTree(replica, signal)
    const targets = new Map([[1, tree]])
    await talk.server.prepare('job-1', [{ index: 1, path: '/' }], [], signal)
    await talk.server.mirror({ compare: 'none', orphans: 'delete' }, targets, () => undefined, signal)

    const over = new AbortController()
    const replicating = talk.server.replicate(targets, () => undefined, over.signal)
    const clients = Array.from({ length: CLIENTS }, (_, number) => cluster.client(number))
    for (const client of clients) stopping.use(client)
    const sqlite = spawn('python3', [COMMITTER, join(volume.path, 'sqlite.db')], { stdio: ['ignore', 'pipe', 'inherit'] })
    const sqliteEnded = once(sqlite, 'exit')
    stopping.defer(async () => { sqlite.kill('SIGKILL'); await sqliteEnded })
    let sqliteTold = 0
    createInterface({ input: sqlite.stdout }).on('line', line => { sqliteTold = Number(line) })
    await until(() => clients.every(({ told }) => told > 10) && sqliteTold > 10, 60_000)
    await new Promise(resolve => { setTimeout(resolve, LOAD_MS) }) // of load, beside which the replication runs
    over.abort()
    await replicating
    const before = clients.map(({ told }) => told)
    const drained = await talk.server.drain({ freeze: true, holdMs: 60_000 }, targets, () => undefined, signal)
    // whatever was told until now was told before the freeze, or is on its way through a pipe
    await new Promise(resolve => { setTimeout(resolve, 200) })
    const told = clients.map(client => client.told)
    const sqliteMust = sqliteTold
    t.ok(await talk.server.hold(signal), 'it is frozen still')
    const frozenMs = Date.now() - (drained.frozenAtMs ?? 0)
    await talk.server.thaw(signal)
    t.ok(told.some((number, at) => number > (before[at] ?? 0)), 'the load went on until the freeze')
    await until(() => clients.some((client, at) => client.told > (told[at] ?? 0)), 30_000)
    t.pass('and goes on behind the thaw')
    await stopping.disposeAsync()

    const copied = new PostgresCluster(join(replica, 'pg', 'data'), await ownedByPostgres(join(base, 'copied')))
    chmodSync(replica, 0o711)
    // as a restart of the machine makes it stale
    rmSync(join(replica, 'pg', 'data', 'postmaster.pid'))
    await copied.start()
    for (const client of clients) {
      const number = told[client.number] ?? 0
      t.equal(await copied.query(`SELECT count(*) FROM told WHERE client = ${String(client.number)} AND number <= ${String(number)}`), String(number), `client ${String(client.number)} was told of ${String(number)} commits`)
    }
    await copied.check()
    const database = join(replica, 'sqlite.db')
    const ask = async (sql: string): Promise<string> => (await tool('python3', ['-c', 'import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])', database, sql])).stdout.trim()
    t.equal(await ask('PRAGMA integrity_check'), 'ok')
    t.equal(await ask(`SELECT count(*) FROM told WHERE number <= ${String(sqliteMust)}`), String(sqliteMust), `SQLite told of ${String(sqliteMust)} commits`)
    t.comment({ told, sqliteMust, drainMs: drained.drainMs, frozenMs })
  })
}
