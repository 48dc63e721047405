import t from 'tap'
import { LayoutFlags, layoutOf } from '../../../src/cli/layout-flags.ts'

const GIB = 2 ** 30
const of = (flags: object): ReturnType<typeof layoutOf> => layoutOf(LayoutFlags.parse(flags))

t.test('without a flag the layout is left out; one flag makes it whole', async t => {
  t.same(of({}), {})
  t.same(of({ disks: 'per-volume' }), { layout: { disks: 'per-volume', sizes: [], groups: [], encryption: 'decrypt' } })
  t.same(of({ encryption: 're-encrypt' }).layout?.encryption, 're-encrypt')
})

t.test('sizes are for names that may hold an equals sign; a group has a size and a limit for its physical volumes', async t => {
  t.same(of({ size: ['/srv/a=b=40G', '/=512MiB'], groupSize: ['vg0=1T'], maxPv: ['vg0=60g', 'vg1=8G'] }).layout, {
    disks: 'matching', encryption: 'decrypt', sizes: [{ volume: '/srv/a=b', sizeBytes: 40 * GIB }, { volume: '/', sizeBytes: GIB / 2 }],
    groups: [{ name: 'vg0', sizeBytes: 1024 * GIB, maxPhysicalVolumeBytes: 60 * GIB }, { name: 'vg1', maxPhysicalVolumeBytes: 8 * GIB }],
  })
})

t.test('what is no size is refused', async t => {
  for (const size of ['/srv', '/srv=', '=4G', '/srv=4', '/srv=4K', '/srv=-4G']) t.throws(() => of({ size: [size] }), { code: 'REQUEST_INVALID' }, size)
  t.throws(() => of({ disks: 'other' }))
  t.throws(() => of({ size: ['/=0G'] }))
})
