import { join } from 'node:path'
import { symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { discoverOs } from '../../../src/workload/discover-os.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'

const unexpected = (f: Finding): void => { throw new Error(f.message) }

function elf(machine: number): Buffer {
  const header = Buffer.alloc(64)
  header.write('\x7fELF', 'latin1')
  header[4] = 2
  header[5] = 1
  header.writeUInt16LE(machine, 18)
  return header
}

t.test('a Debian is known by its files', async t => {
  const dir = t.testdir({
    etc: { hostname: 'web1\n', 'machine-id': `${'ab'.repeat(16)}\n` }, bin: {},
    usr: { lib: { 'os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n' } },
  })
  symlinkSync('/usr/lib/os-release', join(dir, 'etc/os-release'))
  writeFileSync(join(dir, 'bin/sh'), elf(62))
  t.same(await discoverOs(await SourceRoot.open(dir, unexpected), undefined, unexpected), {
    hostName: 'web1', machineId: 'ab'.repeat(16),
    os: { id: 'debian', idLike: [], versionId: '12', prettyName: 'Debian GNU/Linux 12 (bookworm)', architecture: 'x86_64' },
  })
})

t.test('an older Red Hat keeps its name in sysconfig', async t => {
  const dir = t.testdir({ etc: { sysconfig: { network: 'NETWORKING=yes\nHOSTNAME=db1.example\n' }, 'os-release': 'ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n' } })
  const found = await discoverOs(await SourceRoot.open(dir, unexpected), undefined, unexpected)
  t.match(found, { hostName: 'db1.example', os: { id: 'centos', idLike: ['rhel', 'fedora'], prettyName: 'centos', architecture: '' } })
})

t.test('a live source without a name file has the name of its kernel', async t => {
  const dir = t.testdir({ root: { etc: { 'os-release': 'ID=x' } }, proc: { sys: { kernel: { hostname: 'live1\n' } } } })
  t.equal((await discoverOs(await SourceRoot.open(join(dir, 'root'), unexpected), join(dir, 'proc'), unexpected)).hostName, 'live1')
})

t.test('an empty tree is described with findings, a senseless machine id is none', async t => {
  const findings: Finding[] = []
  const report = (f: Finding): void => { findings.push(f) }
  const found = await discoverOs(await SourceRoot.open(t.testdir({ etc: { 'machine-id': 'uninitialized\n' } }), report), undefined, report)
  t.match(found, { hostName: '', machineId: '', os: { id: '' } })
  t.same(findings.map(f => f.code), ['HOST_NAME_UNKNOWN', 'OS_UNKNOWN'])
})
