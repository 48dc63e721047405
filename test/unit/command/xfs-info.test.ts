import { join } from 'node:path'
import t from 'tap'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'
import { readXfsGeometry } from '../../../src/command/xfs-info.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)

t.test('features and geometry of a mounted XFS are read', async t => {
  t.same(await readXfsGeometry(await ScriptedRunner.open(FIXTURES, ['xfs_info/mounted']), '/mnt/data', signal), {
    blockSizeBytes: 4096, inodeSizeBytes: 512,
    features: ['crc=1', 'finobt=1', 'sparse=1', 'rmapbt=0', 'reflink=1', 'bigtime=1', 'inobtcount=1', 'nrext64=0', 'attr=2', 'projid32bit=1',
      'ftype=1', 'ascii-ci=0', 'lazy-count=1'],
    properties: {
      agcount: '4', agsize: '21440', sectsz: '512', blocks: '85760', imaxpct: '25', sunit: '0', swidth: '0', 'naming-version': '2',
      'naming-bsize': '4096', 'log-blocks': '16384', 'log-version': '2', 'log-sectsz': '512', rtextents: '0', log: 'internal',
    },
  })
})

t.test('what an older version does not print is left out', async t => {
  const stdout = `meta-data=/dev/sdb1  isize=256    agcount=4, agsize=100 blks
         =         sectsz=512   attr=2
data     =         bsize=4096   blocks=400, imaxpct=25
         =         sunit=0      swidth=0 blks
naming   =version 2      bsize=4096   ascii-ci=0
log      =external       bsize=4096   blocks=855, version=2
realtime =none           extsz=4096   blocks=0, rtextents=0
`
  const found = await readXfsGeometry(new ScriptedRunner([{ tool: 'xfs_info', args: ['/mnt/data'], stdout }]), '/mnt/data', signal)
  t.same(found.features, ['attr=2', 'ascii-ci=0'])
  t.match(found.properties, { log: 'external', 'log-blocks': '855' })
  t.notOk('log-sectsz' in found.properties)
})

t.test('what a later version prints is a feature when it is 1', async t => {
  const stdout = `meta-data=/dev/sdb1  isize=512    agcount=1, agsize=100 blks
         =         sectsz=512   attr=2, projid32bit=1
         =         crc=1        finobt=1, sparse=1, rmapbt=1
         =         reflink=1    bigtime=1 inobtcount=1 nrext64=1
         =         exchange=1   metadir=0
data     =         bsize=4096   blocks=400, imaxpct=1
         =         sunit=1      swidth=1 blks
naming   =version 2      bsize=4096   ascii-ci=0, ftype=1, parent=1
log      =internal log   bsize=4096   blocks=855, version=2
         =         sectsz=512   sunit=1 blks, lazy-count=1
realtime =none           extsz=4096   blocks=0, rtextents=0
         =         rgcount=0    rgsize=0 extents
         =         zoned=0      start=0 reserved=0
`
  const found = await readXfsGeometry(new ScriptedRunner([{ tool: 'xfs_info', args: ['/mnt/data'], stdout }]), '/mnt/data', signal)
  t.same(found.features.slice(-3), ['lazy-count=1', 'exchange=1', 'parent=1'])
})

t.test('an answer without the block size is TOOL_OUTPUT', async t => {
  const runner = new ScriptedRunner([{ tool: 'xfs_info', args: ['/mnt/data'], stdout: 'meta-data=/dev/sdb1 isize=256' }])
  await t.rejects(readXfsGeometry(runner, '/mnt/data', signal), { code: 'TOOL_OUTPUT' })
})
