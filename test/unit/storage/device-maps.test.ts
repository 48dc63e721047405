import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import t from 'tap'
import { logicalMapUuid, mapsAbove, readDeviceMaps } from '../../../src/storage/device-maps.ts'

const GROUP = 'abcdef-1111-2222-3333-4444-5555-ghijkl'
const VOLUME = 'mnopqr-1111-2222-3333-4444-5555-stuvwx'

/** A copy of /sys/block with these maps. */
function sysBlock(maps: Readonly<Record<string, { uuid: string, name: string, slaves: readonly string[] }>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-sys-'))
  for (const disk of ['sda', 'loop1', 'dm-x']) mkdirSync(join(directory, disk))
  for (const [entry, { uuid, name, slaves }] of Object.entries(maps)) {
    mkdirSync(join(directory, entry, 'dm'), { recursive: true })
    writeFileSync(join(directory, entry, 'dev'), `253:${entry.slice(3)}\n`)
    writeFileSync(join(directory, entry, 'dm/uuid'), `${uuid}\n`)
    writeFileSync(join(directory, entry, 'dm/name'), `${name}\n`)
    for (const slave of slaves) mkdirSync(join(directory, entry, 'slaves', slave), { recursive: true })
  }
  return directory
}

t.test('maps are told with what lies below them, and found from their disks on, the topmost first', async t => {
  const maps = await readDeviceMaps(sysBlock({
    'dm-0': { uuid: logicalMapUuid(GROUP, VOLUME), name: 'm_job_v-root', slaves: ['sda2', 'sdaa1'] },
    'dm-1': { uuid: 'CRYPT-LUKS2-x', name: 'safe', slaves: ['dm-0'] },
    'dm-12': { uuid: '', name: 'other', slaves: ['sdaa1'] },
    'dm-3': { uuid: '', name: 'on-loop', slaves: ['loop1p3'] },
  }))
  t.same(maps.find(m => m.device === '/dev/dm-0'), { device: '/dev/dm-0', number: '253:0', uuid: 'LVM-abcdef11112222333344445555ghijklmnopqr11112222333344445555stuvwx', name: 'm_job_v-root', below: ['/dev/sda2', '/dev/sdaa1'] })
  const above = (...devices: string[]): string[] => mapsAbove(maps, devices).map(m => m.device)
  t.same(above('/dev/sda'), ['/dev/dm-1', '/dev/dm-0'])
  t.same(above('/dev/sdaa').sort(), ['/dev/dm-0', '/dev/dm-1', '/dev/dm-12'])
  t.same(above('/dev/loop1'), ['/dev/dm-3'])
  t.same(above('/dev/loop'), [])
  t.same(above('/dev/dm-1'), [])
  t.same(above('/dev/sda2', '/dev/sda'), ['/dev/dm-1', '/dev/dm-0'], 'each once')
})
