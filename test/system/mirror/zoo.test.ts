/** Every kind of file and attribute through the real mirror (agent and receiver as two processes over TLS), between any two file systems. */
import { execFileSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { NODE } from '../../lab/paths.ts'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { buildZoo, differences, tameZoo, UNKNOWN } from '../../zoo/zoo.ts'

const MAIN = new URL('../../lab/main.ts', import.meta.url).pathname
const Result = z.object({ files: z.number(), bytesSent: z.number(), findings: z.array(z.object({ code: z.string(), subject: z.string(), message: z.string() })) })

function mirror(source: string, replica: string, compare: string): z.infer<typeof Result> {
  return Result.parse(JSON.parse(execFileSync(NODE, [MAIN, 'mirror', source, replica, '--compare', compare, '--orphans', 'delete', '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 })))
}

/** Each file system to itself, and once as source and once as replica of another; with what of the source's zoo the replica lacks. */
const PAIRS: readonly { from: LoopType, to: LoopType, lacks: readonly { subject: string, what: RegExp }[] }[] = [
  { from: 'ext4', to: 'xfs', lacks: [{ subject: 'flags/dirsync', what: /inode flags dirsync/ }, { subject: 'links/longest', what: /ENAMETOOLONG/ }] },
  { from: 'xfs', to: 'btrfs', lacks: [{ subject: 'projects/inherits', what: /project id 42, inode flags projinherit/ }, { subject: 'projects/file', what: /project id 77/ }] },
  { from: 'btrfs', to: 'ext4', lacks: [{ subject: 'flags/nocow', what: /inode flags nocow/ }] },
  { from: 'ext4', to: 'ext4', lacks: [] },
  { from: 'xfs', to: 'xfs', lacks: [] },
  { from: 'btrfs', to: 'btrfs', lacks: [] },
]

/** XFS shows an ACL a second time as trusted.SGI_ACL_*, which no other file system does and none can take away. */
const SHOWN_TWICE = /^treecmp: attributes\/(acl|default-acl)(\/\S+)?: xattrs: |^rsync: [.>][df]\.{8}x attributes\/(acl|default-acl)/

function mounted(t: Test, type: LoopType): string {
  const volume = mountLoop(type)
  t.teardown(() => { tameZoo(volume.path); volume[Symbol.dispose]() })
  return volume.path
}

for (const { from, to, lacks } of PAIRS) {
  t.test(`a zoo on ${from} arrives on ${to}; ${lacks.length === 0 ? 'nothing is told' : 'what that cannot hold is told, and nothing else'}`, { skip: MOUNT_SKIP }, async t => {
    const [source, replica] = [mounted(t, from), mounted(t, to)]
    t.same(buildZoo(source).filter(what => !UNKNOWN[from].test(what)), [], 'the zoo has all that its file system can hold')
    for (const compare of ['none', 'attributes']) {
      const { findings, bytesSent } = mirror(source, replica, compare)
      const unexpected = findings.filter(({ subject, message }) => !lacks.some(lack => lack.subject === subject && lack.what.test(message)))
      t.same(unexpected, [], `comparing ${compare}`)
      const told = findings.map(({ subject }) => subject)
      t.same(lacks.map(({ subject }) => subject).filter(subject => !told.includes(subject)), [], 'what is lacking is told')
      if (compare === 'attributes') t.ok(bytesSent < 300_000, `${String(bytesSent)} bytes for nothing new`)
    }
    const known = (line: string): boolean => / differences$/.test(line) || lacks.some(({ subject }) => line.includes(`${subject}:`) || line.includes(` ${subject}`)) || (to === 'xfs' && from !== 'xfs' && SHOWN_TWICE.test(line))
    t.same(differences(source, replica).filter(line => !known(line)), [], 'and nothing else differs')
  })
}
