/** The program that tells the host of a first boot: what it needs, and how it ends where the host is another one. VMware's side is played in its own tests. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HOST_TELLER } from '../../../src/posix/host-teller.ts'
import { noLoopDisks } from '../../contract/loop-disks.ts'
import { PROJECT } from '../../lab/paths.ts'
import { runInSmallGuest } from '../../zoo/small-guest.ts'

t.test('it keeps to the order of VMware\'s steps, and says again what a move of the machine broke off', { timeout: 300_000 }, async t => {
  const tell = join(PROJECT, 'src/posix/tell/Cargo.toml')
  const done = spawnSync('cargo', ['test', '--release', '--locked', '--lib', '--manifest-path', tell, '--target-dir', join(PROJECT, 'src/posix/addon/target')], { encoding: 'utf8' })
  t.equal(done.status, 0, done.stderr)
  t.match(done.stdout, /test result: ok[.] [5-9] passed; 0 failed/)
})

t.test('it needs no loader, no library and little room', async t => {
  t.notMatch(execFileSync('readelf', ['-lW', HOST_TELLER], { encoding: 'utf8' }), /INTERP|DYNAMIC/)
  t.ok(readFileSync(HOST_TELLER).length < 16_384)
})

t.test('a report that is too long, and none, are its errors', async t => {
  t.equal(spawnSync(HOST_TELLER, { input: Buffer.alloc(60 << 10) }).status, 3)
  t.equal(spawnSync('sh', ['-c', `exec ${HOST_TELLER} <&-`]).status, 3)
})

t.test('in a machine whose host answers for VMware\'s version and takes no messages it speaks to it and ends', { skip: noLoopDisks(), timeout: 600_000 }, async t => {
  const output = await runInSmallGuest({
    programs: [], modules: [], diskSizesBytes: [1 << 20], timeoutMs: 300_000, files: { tell: readFileSync(HOST_TELLER) },
    script: 'echo \'{}\' | /tell; echo "exit $?"\n',
  }, AbortSignal.timeout(500_000))
  t.match(output, /^exit 4$/m, 'QEMU')
})
