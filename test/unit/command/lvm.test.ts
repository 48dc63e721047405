import { join } from 'node:path'
import t from 'tap'
import { listVolumeGroups, mapNameOf } from '../../../src/command/lvm.ts'
import { ScriptedRunner, type ScriptedRun } from '../../../src/command/scripted-runner.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)
const CASES = ['vgs', 'pvs', 'lvs'].map(tool => `${tool}/two-groups`)

t.test('groups have their physical and logical volumes, with every segment', async t => {
  const runner = await ScriptedRunner.open(FIXTURES, CASES)
  const [sys, data, ...rest] = await listVolumeGroups(runner, signal)
  t.same(rest, [])
  t.same(runner.unused(), [])
  t.match(sys, { name: 'vg-sys', format: 'lvm2', extentSizeBytes: 4 << 20, extents: 255, freeExtents: 92, tags: ['site-a'], shared: false, partial: false })
  t.same(sys?.physicalVolumes.map(p => [p.on, p.sizeBytes, p.dataStartBytes, p.extents]), [['/dev/sda', 1069547520, 1 << 20, 255]])
  t.same(sys?.logicalVolumes.map(v => [v.name, v.sizeBytes, v.segments.map(s => [s.type, s.extents, s.on])]), [
    ['root', 473956352, [['linear', 100, ['/dev/sda']], ['linear', 13, ['/dev/sda']]]], ['root2', 104857600, [['linear', 25, ['/dev/sda']]]], ['swap_1', 104857600, [['linear', 25, ['/dev/sda']]]],
  ])
  t.same(data?.logicalVolumes.map(v => [v.name, v.segments[0]?.type, v.segments[0]?.stripes, v.pool, v.tags]), [
    ['fast', 'striped', 3, undefined, ['fast']], ['oldmirror', 'mirror', 2, undefined, []], ['pool', 'thin-pool', 1, undefined, []], ['safe', 'raid1', 2, undefined, []],
    ['thin1', 'thin', 0, 'pool', []], ['thin2', 'thin', 0, 'pool', []],
  ])
  t.same(data?.logicalVolumes[0]?.segments, [{ type: 'striped', extents: 30, stripes: 3, stripeSizeBytes: 65536, on: ['/dev/sdb', '/dev/sdc', '/dev/sdd'] }])
  t.same(data?.logicalVolumes.find(v => v.name === 'safe')?.segments[0]?.on, [], 'images of a mirror are no devices')
})

t.test('tools that know no JSON tell the same', async t => {
  const old = await ScriptedRunner.open(FIXTURES, CASES.map(name => `${name}-of-old-tools`))
  const refusing: ScriptedRun[] = ['vgs', 'pvs', 'lvs'].map(tool => ({ tool, args: ['--reportformat', 'json', ...tool === 'lvs' ? ['--segments'] : [], '--units', 'b', '--nosuffix', '-o', '<any>'], exitCode: 3, stderr: 'unrecognized option' }))
  const both = new ScriptedRunner([...refusing, ...old.unused()])
  t.same(await listVolumeGroups(both, signal), await listVolumeGroups(await ScriptedRunner.open(FIXTURES, CASES), signal))
  t.same(both.unused(), [])
})

t.test('a machine without groups is asked once; shared and incomplete groups are told; another form is TOOL_OUTPUT', async t => {
  const vgs = (stdout: string): ScriptedRunner => new ScriptedRunner([{ tool: 'vgs', args: ['--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', '<any>'], stdout }])
  t.same(await listVolumeGroups(vgs('{"report":[{"vg":[]}]}'), signal), [])
  for (const stdout of ['WARNING: x', '{"report":[{"vg":[{"vg_name":"a"}]}]}', '{"report":{}}']) await t.rejects(listVolumeGroups(vgs(stdout), signal), { code: 'TOOL_OUTPUT' })
  const row = { vg_name: 'a', vg_uuid: 'u', vg_fmt: 'lvm2', vg_attr: 'wz-pns', vg_extent_size: '1', vg_extent_count: '1', vg_free_count: '0', vg_tags: '' }
  const none = (tool: string, section: string, more: readonly string[] = []): ScriptedRun => ({ tool, args: ['--reportformat', 'json', ...more, '--units', 'b', '--nosuffix', '-o', '<any>'], stdout: `{"report":[{"${section}":[]}]}` })
  const found = await listVolumeGroups(new ScriptedRunner([{ tool: 'vgs', args: ['--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', '<any>'], stdout: JSON.stringify({ report: [{ vg: [row] }] }) }, none('pvs', 'pv'), none('lvs', 'seg', ['--segments'])]), signal)
  t.match(found, [{ shared: true, partial: true, physicalVolumes: [], logicalVolumes: [] }])
})

t.test('a logical volume that is only read, and one that stays inactive, are told', async t => {
  const answer = (tool: string, section: string, row: object): ScriptedRun => ({ tool, args: ['--reportformat', 'json', ...tool === 'lvs' ? ['--segments'] : [], '--units', 'b', '--nosuffix', '-o', '<any>'], stdout: JSON.stringify({ report: [{ [section]: [row] }] }) })
  const flagsOf = async (attributes: string): Promise<unknown> => {
    const [group] = await listVolumeGroups(new ScriptedRunner([
      answer('vgs', 'vg', { vg_name: 'a', vg_uuid: 'u', vg_fmt: 'lvm2', vg_attr: 'wz--n-', vg_extent_size: '1', vg_extent_count: '1', vg_free_count: '0', vg_tags: '' }),
      answer('pvs', 'pv', { pv_name: '/dev/sda', pv_uuid: 'p', vg_uuid: 'u', pv_size: '1', pe_start: '0', pv_pe_count: '1', pv_tags: '' }),
      answer('lvs', 'seg', { vg_uuid: 'u', lv_name: 'v', lv_uuid: 'l', lv_size: '1', lv_attr: attributes, lv_tags: '', segtype: 'linear', stripes: '1', stripe_size: '0', seg_start_pe: '0', seg_size: '1', devices: '/dev/sda(0)', pool_lv: '', origin: '' }),
    ]), signal)
    const [volume] = group?.logicalVolumes ?? []
    return [volume?.readOnly, volume?.activationSkip]
  }
  t.same(await flagsOf('-ri-a-----'), [true, undefined])
  t.same(await flagsOf('Vwi---tz-k'), [undefined, true])
  t.same(await flagsOf('-Ri-ao----'), [undefined, undefined], 'a setting of the host, not of the volume')
  t.same(await flagsOf('-wi-ao--'), [undefined, undefined], 'old tools tell less')
})

t.test('the map of a logical volume has the dashes of the names doubled', async t => {
  t.equal(mapNameOf('my-vg', 'a-b'), 'my--vg-a--b')
})
