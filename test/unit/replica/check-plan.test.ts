import t from 'tap'
import type { JobOptions } from '../../../src/domain/job.ts'
import { SOURCE_LAYOUT } from '../../../src/domain/layout-options.ts'
import type { Places } from '../../../src/domain/target.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import { checkPlan } from '../../../src/replica/check-plan.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { RULES } from '../../../src/replica/rules.ts'
import { debian12, ext4, GIB, MIB, options, places, volume } from './workloads.ts'

interface Case { workload?: (w: Workload) => void, options?: Partial<JobOptions>, places?: Partial<Places> }

function findings(c: Case): { code: string, severity: string, message: string, advice: string }[] {
  const workload = debian12()
  c.workload?.(workload)
  const input = { jobId: 'job1', workload, options: options(c.options), places: places(c.places) }
  return checkPlan({ ...input, plan: planReplica(input) })
}

const datastore = places().datastores[0]
const store = (change: object): Partial<Places> => ({ datastores: datastore === undefined ? [] : [{ ...datastore, ...change }] })

/** Every rule with something that it must not let pass. */
const BAD: Record<string, Case> = {
  HOST_CONNECTED: { places: { maintenance: true } },
  DATASTORE_NOT_FOUND: { options: { datastore: 'nowhere' } },
  DATASTORE_TOO_SMALL: { places: store({ freeBytes: 5 * GIB }), options: { diskFormat: 'thick' } },
  DATASTORE_OVERCOMMITTED: { places: store({ freeBytes: 5 * GIB }) },
  DISK_TOO_LARGE: { places: store({ maxFileBytes: 5 * GIB }) },
  DISK_COUNT: { workload: w => {
    for (let i = 0; i < 60; i++) {
      w.disks.push({ name: `vz${String(i)}x`, sizeBytes: GIB, sectorSizeBytes: 512, table: 'none', tableId: '', partitions: [] })
      w.volumes.push(volume(`vz${String(i)}x`, 0, `/many/${String(i)}`, ext4(`e-${String(i)}`, GIB), GIB))
    }
  } },
  VM_NAME_TAKEN: { options: { vmName: 'other' } },
  NETWORK_NOT_FOUND: { options: { defaultNetwork: 'nowhere' } },
  NETWORK_MAPPING_UNUSED: { options: { networks: [{ sourceMac: '52:54:00:00:00:00', network: 'isolated' }] } },
  REPLICA_NOT_REACHABLE: { workload: w => { w.adapters = [] } },
  MEMORY_BELOW_SOURCE: { options: { memoryMiB: 512 } },
  CPU_BELOW_SOURCE: { options: { sockets: 1, coresPerSocket: 1 } },
  VOLUME_NOT_FOUND: { options: { volumes: ['/missing'] } },
  SOURCE_UNSUPPORTED: { options: { volumes: ['/zfs'] }, workload: w => { w.volumes.push({ ...volume('vdb', 1, '/zfs', { ...ext4('z', GIB), type: 'unsupported', typeName: 'zfs' }, GIB), unsupportedReason: 'ZFS is not supported' }) } },
  FREE_SPACE: { workload: w => { for (const v of w.volumes) if (v.mountPoint === '/') v.fileSystem.usedBytes = v.sizeBytes - 10 * MIB } },
  VOLUME_MARGIN: { workload: w => { for (const v of w.volumes) if (v.mountPoint === '/srv/data') v.fileSystem.usedBytes = v.sizeBytes - 10 * MIB } },
  SIZE_UNUSED: { options: { layout: { ...SOURCE_LAYOUT, sizes: [{ volume: '/missing', sizeBytes: GIB }] } } },
  VOLUME_TOO_SMALL: { options: { layout: { ...SOURCE_LAYOUT, sizes: [{ volume: '/srv/data', sizeBytes: 1024 * MIB }] } }, workload: w => { for (const v of w.volumes) v.fileSystem.usedBytes = GIB } },
  EXT_TOO_LARGE: { options: { layout: { ...SOURCE_LAYOUT, sizes: [{ volume: '/', sizeBytes: 2 ** 44 }] } }, workload: w => { for (const v of w.volumes) v.fileSystem.features = v.fileSystem.features.filter(f => f !== '64bit') } },
  GROUP_TOO_SMALL: { options: { layout: { ...SOURCE_LAYOUT, groups: [{ name: 'vg0', sizeBytes: GIB }] } }, workload: w => {
    const logical = { name: 'root', uuid: 'l', sizeBytes: 3 * GIB, tags: [], segments: [{ type: 'linear', extents: 768, stripes: 1, stripeSizeBytes: 0, on: ['vda2'] }] }
    const group = { name: 'vg0', uuid: 'g', format: 'lvm2', extentSizeBytes: 4 * MIB, extents: 1535, freeExtents: 767, tags: [], shared: false, partial: false, logicalVolumes: [logical] }
    w.layers = { arrays: [], encryptions: [], multipaths: [], volumeGroups: [{ ...group, physicalVolumes: [{ uuid: 'p', on: 'vda2', sizeBytes: 6 * GIB, dataStartBytes: MIB, extents: 1535, tags: [] }] }] }
    for (const v of w.volumes) if (v.mountPoint === '/') Object.assign(v, { on: 'vg0/root', sizeBytes: 3 * GIB })
  } },
  CAPTURE_UNSUPPORTED: { workload: w => { w.capture = { tier: 'none', reason: 'kernel 4.19', unseen: [] } } },
  CAPTURE_TIER: { workload: w => { w.capture = { tier: 'C', reason: 'no CAP_SYS_ADMIN', unseen: ['chattr'] } } },
  FREEZE_NOT_ALLOWED: { workload: w => { w.capture.mayFreeze = false } },
  QUEUE_FOLDER_INVALID: { workload: w => { w.capture.queue = { folder: '/var/spool/landfall', volumes: [], problem: { code: 'QUEUE_FOLDER_INVALID', message: 'others may write' } } } },
  QUEUE_FOLDER_REPLICATED: { workload: w => { w.capture.queue = { folder: '/srv/data/queue', volumes: ['/srv/data'] } } },
  ROOT_VOLUME: { workload: w => { w.volumes = w.volumes.filter(v => v.mountPoint !== '/') } },
  ARCHITECTURE: { workload: w => { w.os.architecture = 'aarch64' } },
  OS_UNSUPPORTED: { workload: w => { w.os = { ...w.os, id: 'gentoo', idLike: [], prettyName: 'Gentoo' } } },
  ESP_MISSING: { workload: w => { w.firmware = 'uefi' } },
  OS_NOT_PROVEN: { workload: w => { w.os.id = 'rocky'; w.os.versionId = '9.4' } },
  OS_RELEASE_UNSUPPORTED: { workload: w => { w.os.id = 'rhel'; w.os.versionId = '4.8' } },
  BOOT_LOADER_UNKNOWN: { workload: w => { w.boot.loader = 'systemd-boot' } },
  BIOS_BOOT_PARTITION: { workload: w => { for (const d of w.disks) d.table = 'gpt' } },
  BOOT_DISK_TABLE: { workload: w => { for (const d of w.disks) if (d.name === 'vda') d.table = 'none' } },
  BOOT_TOOLS_MISSING: { workload: w => { w.boot.tools = ['update-initramfs', 'grub2-install', 'grub-i386-pc'] } },
  INITRAMFS_TOOL_UNKNOWN: { workload: w => { w.boot.initramfsTool = 'dracut' } },
  KERNEL_MISSING: { workload: w => { w.boot.kernels = [] } },
  KERNEL_DRIVERS_MISSING: { workload: w => { for (const k of w.boot.kernels) k.drivers = ['vmxnet3', 'virtio_blk'] } },
  KERNEL_INITRAMFS_MISSING: { workload: w => { for (const k of w.boot.kernels) delete k.initramfsPath } },
}

t.test('a sound job passes every rule, and each is shown', async t => {
  const found = findings({})
  t.same(found.map(f => f.code), RULES.map(r => r.code))
  t.same(found.filter(f => f.severity !== 'ok'), [])
})

t.test('a largest physical volume is for a disk per volume', async t => {
  const unused = (disks: 'matching' | 'per-volume'): string[] => findings({ ...BAD['GROUP_TOO_SMALL'], options: { layout: { ...SOURCE_LAYOUT, disks, groups: [{ name: 'vg0', maxPhysicalVolumeBytes: GIB }] } } })
    .filter(f => f.code === 'SIZE_UNUSED' && f.severity !== 'ok').map(f => f.message)
  t.match(unused('matching'), [/largest physical volume is given for vg0/])
  t.same(unused('per-volume'), [])
})

t.test('every rule has a case that it refuses', async t => {
  t.same(Object.keys(BAD).sort(), RULES.map(r => r.code).sort())
})

for (const [code, bad] of Object.entries(BAD)) {
  t.test(`${code} is found, with what to do about it`, async t => {
    const severity = RULES.find(r => r.code === code)?.severity
    const found = findings(bad).filter(f => f.code === code)
    t.ok(found.length > 0 && found.every(f => f.severity === severity && f.message !== '' && f.advice !== ''), JSON.stringify(found))
  })
}

t.test('only what boots in the lab counts as proven: Debian 12, with BIOS and with UEFI', async t => {
  const severity = (id: string, versionId: string, firmware: 'bios' | 'uefi'): string | undefined => findings({ workload: w => { w.os.id = id; w.os.versionId = versionId; w.firmware = firmware } }).find(f => f.code === 'OS_NOT_PROVEN')?.severity
  for (const firmware of ['bios', 'uefi'] as const) {
    t.equal(severity('debian', '12', firmware), 'ok', firmware)
    for (const [id, version] of [['debian', '11'], ['debian', '13'], ['debian', ''], ['ubuntu', '12.04'], ['ubuntu', '24.04'], ['rhel', '9.4'], ['sles', '15.5']] as const) t.equal(severity(id, version, firmware), 'warning', `${id} ${version} ${firmware}`)
  }
})

t.test('an adapter without any network is an error, a discarded one is not', async t => {
  const mac = '52:54:00:12:34:57'
  const networks = [{ sourceMac: '52:54:00:12:34:56', network: 'isolated' }]
  const none = { jobId: 'j', workload: debian12(), options: options({ networks }), places: places() }
  delete none.options.defaultNetwork
  t.equal(checkPlan({ ...none, plan: planReplica(none) }).find(f => f.code === 'NETWORK_NOT_FOUND')?.severity, 'error')
  const discarded = { ...none, options: { ...none.options, networks: [...networks, { sourceMac: mac, network: null }] } }
  t.equal(checkPlan({ ...discarded, plan: planReplica(discarded) }).find(f => f.code === 'NETWORK_NOT_FOUND')?.severity, 'ok')
})

t.test('what the source itself found is shown too', async t => {
  const own = { code: 'FROM_SOURCE', severity: 'warning' as const, subject: 's', message: 'm', advice: 'a' }
  t.same(findings({ workload: w => { w.findings.push(own) } }).at(-1), own)
})

t.test('an ext4 with a feature that cannot be made is SOURCE_UNSUPPORTED', async t => {
  const found = findings({ workload: w => { for (const v of w.volumes) if (v.mountPoint === '/') v.fileSystem.features = [...v.fileSystem.features, 'encrypt'] } })
  t.match(found.find(f => f.code === 'SOURCE_UNSUPPORTED'), { severity: 'error', message: /encrypt/ })
})

t.test('what the replica loses is a warning with what to do; a moved MAC address is none', async t => {
  const found = findings({ workload: w => {
    w.layers = { volumeGroups: [], multipaths: [], arrays: [], encryptions: [{ name: 'safe', on: 'vdb1', type: 'LUKS2', uuid: 'u', label: '', cipher: 'aes-xts-plain64', keyBits: 512, sizeBytes: 4 * GIB - 18 * MIB }] }
    for (const v of w.volumes) if (v.mountPoint === '/srv/data') Object.assign(v, { on: 'safe', sizeBytes: 4 * GIB - 18 * MIB })
  } })
  t.same(found.filter(f => f.severity !== 'ok').map(f => [f.code, f.severity]), [['DECRYPTED', 'warning']])
  t.match(found.find(f => f.code === 'DECRYPTED'), { message: /\/srv\/data arrives decrypted: safe/, advice: /in the clear/ })
})

t.test('each family and release needs its own programs; an agent that does not look stops nothing', async t => {
  const lacking = (os: { id: string, versionId: string }, boot: Partial<Workload['boot']>, firmware: Workload['firmware'] = 'bios'): string | undefined =>
    findings({ workload: w => { Object.assign(w.os, { idLike: [], ...os }); Object.assign(w.boot, boot); w.firmware = firmware } }).find(f => f.code === 'BOOT_TOOLS_MISSING' && f.severity === 'error')?.message
  t.equal(lacking({ id: 'debian', versionId: '12' }, { tools: [] }), 'the source lacks update-initramfs, grub-install, grub-i386-pc')
  t.equal(lacking({ id: 'debian', versionId: '12' }, { tools: ['update-initramfs'] }, 'uefi'), undefined)
  t.equal(lacking({ id: 'rhel', versionId: '9.4' }, { tools: ['grub-i386-pc'] }), 'the source lacks grub2-install')
  t.equal(lacking({ id: 'rhel', versionId: '6.10' }, { tools: [], loader: 'grub-legacy' }), 'the source lacks grub, grub-stages')
  t.equal(lacking({ id: 'rhel', versionId: '5.11' }, { tools: ['grub', 'grub-stages'], loader: 'grub-legacy' }), 'the source lacks mkinitrd')
  t.equal(lacking({ id: 'sles', versionId: '15.5' }, { tools: ['grub2-install', 'grub-i386-pc'] }), undefined)
  t.equal(lacking({ id: 'debian', versionId: '12' }, {}), undefined)
})
