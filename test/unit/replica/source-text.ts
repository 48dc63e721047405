/**
 * Sources described in a few lines (fixtures/layout/<name>/source.txt), made into the Workload that the agent of such a server would tell. Identifiers that
 * the text leaves out follow from the names. Lines, in any order (`#` begins a comment):
 *   os ID VERSION "NAME" bios|uefi LOADER INITRAMFS        what it is
 *   disk NAME SIZE gpt|dos|none                            its partitions follow
 *   part NUMBER START SIZE TYPE [boot] [name=…]            sizes like 500M, 20G; TYPE a short name of PART_TYPES or the type itself
 *   vg NAME PV[,PV…] [extent=4M] [start=1M] [tags=a,b]     PVs are names of devices
 *   lv VG/NAME SIZE [TYPE] [stripes=N,64K] [on=PV,…] [pool=P] [origin=O] [tags=…] [attr=r|k|rk]
 *   raid NAME LEVEL SIZE MEMBER,…      luks NAME ON TYPE      mpath NAME PATH,…
 *   fs MOUNT|- DEVICE ERA [used=SIZE] [label=…] [subvol=…] [options]     ERA of ERAS; "- " when it is not mounted
 *   swap DEVICE [label=…]      swapfile PATH SIZE
 *   subvolumes DEVICE PATH,…  (all of it; * behind the default one, ! behind one that is nocow)
 *   option disks|encryption WORD      option size VOLUME SIZE      option group NAME size|max SIZE
 */
import { createHash } from 'node:crypto'
import type { LayoutOptions } from '../../../src/domain/layout-options.ts'
import type { DiskArray, Encryption, LogicalVolume, Multipath, VolumeGroup } from '../../../src/domain/layer.ts'
import type { Disk, FileSystem, Volume } from '../../../src/domain/volume.ts'
import { Workload } from '../../../src/domain/workload.ts'
import { derivedLvmId, derivedUuid } from '../../../src/replica/derived-uuid.ts'
import { partitionName } from '../../../src/replica/ground.ts'
import { neededSubvolumes, unmountedSubvolumes } from '../../../src/workload/describe-btrfs.ts'
import { fileSystemOf } from './file-system-eras.ts'
import { debian12 } from './workloads.ts'

const PART_TYPES: Readonly<Record<string, string>> = {
  bios: '21686148-6449-6E6F-744E-656564454649', esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', swap: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F',
  lvm: 'E6D6D379-F507-44C2-A23C-238F2A3DF928', raid: 'A19D880F-05FC-4D3B-A006-743F0F84911E', root: '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', boot: 'BC13C2FF-59E6-4262-A352-B275FD6F7172',
}
const UNITS: Readonly<Record<string, number>> = { '': 1, s: 512, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

function bytes(text: string | undefined): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([sKMGT]?)$/.exec(text ?? '') ?? []
  const factor = UNITS[unit ?? '?']
  if (number === undefined || factor === undefined) throw new Error(`no size: ${String(text)}`)
  return Math.round(Number(number) * factor)
}

interface Line { words: readonly string[], set: ReadonlyMap<string, string> }

/** Words, and key=value pairs; a value may stand in quotes. */
function linesOf(text: string): Line[] {
  return text.split('\n').map(line => line.replace(/(?:^|\s)#.*$/, '')).filter(line => line.trim() !== '').map(line => {
    const parts = [...line.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map(([word]) => word)
    const pairs = parts.flatMap(word => { const [, key, value] = /^([a-z]+)=(.*)$/.exec(word) ?? []; return key === undefined ? [] : [[key, (value ?? '').replaceAll('"', '')] as const] })
    return { words: parts.filter(word => !/^[a-z]+=/.test(word)).map(word => word.replaceAll('"', '')), set: new Map(pairs) }
  })
}

/** @param name of the source: what identifiers are made from */
export function readSource(name: string, text: string): { workload: Workload, layout: LayoutOptions } {
  const lines = linesOf(text)
  const all = (keyword: string): Line[] => lines.filter(l => l.words[0] === keyword)
  const known = new Set(['os', 'disk', 'part', 'vg', 'lv', 'raid', 'luks', 'mpath', 'fs', 'swap', 'swapfile', 'subvolumes', 'option'])
  for (const { words } of lines) if (!known.has(words[0] ?? '')) throw new Error(`${name}: no such line: ${words.join(' ')}`)
  const list = (value: string | undefined): string[] => (value ?? '').split(',').filter(v => v !== '')
  const disks = disksOf(name, lines)
  const arrays = all('raid').map(({ words: [, id = '', level = '', size, members] }): DiskArray =>
    ({ name: id, uuid: createHash('md5').update(`${name}/${id}`).digest('hex').replace(/(.{8})(?=.)/g, '$1:'), level, metadata: '1.2', sizeBytes: bytes(size), members: list(members) }))
  const multipaths = all('mpath').map(({ words: [, id = '', paths] }): Multipath => ({ name: id, wwid: `3600508b4${createHash('md5').update(`${name}/${id}`).digest('hex').slice(0, 24)}`, paths: list(paths) }))
  const sizeOf = (device: string): number => {
    for (const d of disks) {
      if (d.name === device) return d.sizeBytes
      const p = d.partitions.find(part => partitionName(d.name, part.number) === device)
      if (p !== undefined) return p.sizeBytes
    }
    const luks = all('luks').find(l => l.words[1] === device)
    if (luks !== undefined) return sizeOf(luks.words[2] ?? '') - (luks.words[3] === 'LUKS1' ? 2 : 16) * 2 ** 20
    const lv = all('lv').find(l => l.words[1] === device)
    return lv === undefined ? arrays.find(a => a.name === device)?.sizeBytes ?? bytes(`${device} has no size`) : bytes(lv.words[2])
  }
  const encryptions = all('luks').map(({ words: [, id = '', on = '', type = ''] }): Encryption =>
    ({ name: id, on, type, uuid: derivedUuid(name, 'luks', on), label: '', cipher: 'aes-xts-plain64', keyBits: 512, sizeBytes: sizeOf(id) }))
  const volumeGroups = all('vg').map(({ words: [, id = '', pvs], set }): VolumeGroup => {
    const extentSizeBytes = bytes(set.get('extent') ?? '4M')
    const dataStartBytes = bytes(set.get('start') ?? '1M')
    const physicalVolumes = list(pvs).map(on => {
      const extents = Math.floor((sizeOf(on) - dataStartBytes) / extentSizeBytes)
      return { uuid: derivedLvmId(name, 'pv', on), on, sizeBytes: extents * extentSizeBytes, dataStartBytes, extents, tags: [] }
    })
    const logicalVolumes = all('lv').filter(l => l.words[1]?.startsWith(`${id}/`)).map(l => logicalOf(name, l, extentSizeBytes, physicalVolumes.map(p => p.on)))
    const extents = physicalVolumes.reduce((sum, p) => sum + p.extents, 0)
    return { name: id, uuid: derivedLvmId(name, 'vg', id), format: 'lvm2', extentSizeBytes, extents, freeExtents: 0, tags: list(set.get('tags')), shared: false, partial: false, physicalVolumes, logicalVolumes }
  })

  /** Where a device lies, as the agent tells it. */
  const whereIs = (device: string): Pick<Volume, 'device' | 'disk' | 'partition' | 'on' | 'sizeBytes'> => {
    let at = device
    for (let depth = 0; depth < 9; depth++) at = arrays.find(a => a.name === at)?.members[0] ?? encryptions.find(e => e.name === at)?.on ?? volumeGroups.find(g => at.startsWith(`${g.name}/`))?.physicalVolumes[0]?.on ?? at
    const disk = disks.find(d => d.name === at || d.partitions.some(p => partitionName(d.name, p.number) === at))
    if (disk === undefined) throw new Error(`${name}: nothing is known of ${device}`)
    const partition = disk.partitions.find(p => partitionName(disk.name, p.number) === at)?.number ?? 0
    const path = device.includes('/') ? `mapper/${device.split('/').map(n => n.replaceAll('-', '--')).join('-')}` : encryptions.some(e => e.name === device) || multipaths.some(m => device.startsWith(m.name)) ? `mapper/${device}` : device
    return { device: `/dev/${path}`, disk: disk.name, partition, sizeBytes: sizeOf(device), ...(at === device ? {} : { on: device }) }
  }
  const subvolumes = new Map(all('subvolumes').map(({ words: [, device = '', paths] }) =>
    [device, subvolumesOf(list(paths), all('fs').filter(l => l.words[2] === device).flatMap(l => l.set.get('subvol') ?? []))]))
  const volumes = [
    ...all('fs').map(({ words: [, mountPoint = '', device = '', era = '', options = 'rw,relatime'], set }): Volume => {
      const where = whereIs(device)
      const made = fileSystemOf(era, where.sizeBytes, { uuid: derivedUuid(name, 'fs', device), label: set.get('label') ?? '', usedBytes: bytes(set.get('used') ?? String(Math.floor(where.sizeBytes / 4))) })
      const fileSystem: FileSystem = subvolumes.has(device) ? { ...made, ...subvolumes.get(device) } : made
      const mounted = mountPoint !== '-'
      const subvolume = set.get('subvol')
      const reason = subvolume?.endsWith('.snapshots') === true ? 'snapshots are not copied, nor what snapper knows of them, nor quota groups; its subvolume is made empty' : mounted ? undefined : 'it is not mounted: mount it if it is to be migrated'
      return {
        name: mounted ? mountPoint : device, ...where, ...(mounted ? { mountPoint } : {}), mountOptions: options, fileSystem, ...(subvolume === undefined ? {} : { subvolume }),
        required: ['/', '/boot', '/boot/efi', '/usr'].includes(mountPoint), ...(reason === undefined ? {} : { unsupportedReason: reason }),
      }
    }),
    ...all('swap').map(({ words: [, device = ''], set }): Volume => {
      const uuid = derivedUuid(name, 'swap', device)
      return { name: `swap-${uuid}`, ...whereIs(device), mountOptions: '', fileSystem: fileSystemOf('swap', sizeOf(device), { uuid, label: set.get('label') ?? '', usedBytes: 0 }), required: false }
    }),
    ...all('swapfile').map(({ words: [, path = '', size] }): Volume => ({
      name: path, device: path, disk: disks[0]?.name ?? '', partition: 0, mountOptions: '', sizeBytes: bytes(size), required: false,
      fileSystem: { ...fileSystemOf('swap', bytes(size), { uuid: derivedUuid(name, path), label: '', usedBytes: 0 }), properties: { swapfile: 'yes' } },
    })),
  ]
  const [, id = '', versionId = '', prettyName = '', firmware = '', loader = '', initramfsTool = ''] = all('os')[0]?.words ?? []
  const base = debian12()
  const workload = Workload.parse({
    ...base, hostName: 'db01', machineId: createHash('md5').update(name).digest('hex'), os: { ...base.os, id, versionId, prettyName }, firmware, disks, volumes,
    ...(arrays.length + encryptions.length + volumeGroups.length + multipaths.length === 0 ? {} : { layers: { volumeGroups, arrays, encryptions, multipaths } }),
    adapters: base.adapters.slice(0, 1), boot: { ...base.boot, loader, initramfsTool, bootDisks: [disks[0]?.name ?? ''] },
  })
  return { workload, layout: layoutOf(all('option')) }
}

function disksOf(name: string, lines: readonly Line[]): Disk[] {
  const disks: Disk[] = []
  for (const { words, set } of lines) {
    const [keyword, first = '', second, third, type = ''] = words
    const disk = disks.at(-1)
    if (keyword === 'disk') {
      const table = third === 'gpt' || third === 'dos' ? third : 'none'
      const uuid = derivedUuid(name, 'disk', first)
      disks.push({ name: first, sizeBytes: bytes(second), sectorSizeBytes: Number(set.get('sector') ?? 512), table, tableId: table === 'gpt' ? uuid.toUpperCase() : table === 'dos' ? `0x${uuid.slice(0, 8)}` : '', partitions: [] })
    } else if (keyword === 'part' && disk !== undefined) {
      const number = Number(first)
      disk.partitions.push({
        number, startBytes: bytes(second), sizeBytes: bytes(third), type: PART_TYPES[type] ?? type, name: set.get('name') ?? '', bootable: words.includes('boot', 5),
        uuid: disk.table === 'gpt' ? derivedUuid(name, 'part', disk.name, first).toUpperCase() : `${disk.tableId.slice(2)}-${number.toString(16).padStart(2, '0')}`,
      })
    }
  }
  return disks
}

/** What the agent tells of the subvolumes of a btrfs. */
function subvolumesOf(words: readonly string[], mounted: readonly string[]): Pick<FileSystem, 'subvolumes' | 'unmountedSubvolumes'> {
  const all = words.map(word => ({ path: word.replace(/[*!]+$/, ''), default: word.includes('*'), noCow: word.includes('!') }))
  const paths = all.map(s => s.path)
  const chosen = all.find(s => s.default)?.path ?? ''
  const needed = neededSubvolumes(paths, [...mounted, chosen])
  const unmounted = unmountedSubvolumes(paths, mounted, chosen)
  return { subvolumes: all.filter(s => needed.includes(s.path)).map(s => ({ ...s, noCow: s.noCow && mounted.includes(s.path) })), ...(unmounted.length === 0 ? {} : { unmountedSubvolumes: unmounted }) }
}

function logicalOf(name: string, { words: [, path = '', size, type = 'linear'], set }: Line, extentSizeBytes: number, pvs: readonly string[]): LogicalVolume {
  const [stripes, stripeSize] = (set.get('stripes') ?? '1').split(',')
  const told = ['linear', 'striped'].includes(type)
  const pool = set.get('pool')
  const origin = set.get('origin')
  return {
    name: path.slice(path.indexOf('/') + 1), uuid: derivedLvmId(name, 'lv', path), sizeBytes: bytes(size), tags: (set.get('tags') ?? '').split(',').filter(tag => tag !== ''),
    segments: [{
      type, extents: Math.ceil(bytes(size) / extentSizeBytes), stripes: Number(stripes), stripeSizeBytes: stripeSize === undefined ? 0 : bytes(stripeSize),
      on: told ? set.get('on')?.split(',') ?? pvs.slice(0, Number(stripes)) : [],
    }],
    ...(pool === undefined ? {} : { pool }), ...(origin === undefined ? {} : { origin }),
    ...(set.get('attr')?.includes('r') === true ? { readOnly: true as const } : {}), ...(set.get('attr')?.includes('k') === true ? { activationSkip: true as const } : {}),
  }
}

function layoutOf(lines: readonly Line[]): LayoutOptions {
  const layout: LayoutOptions = { disks: 'matching', sizes: [], groups: [], encryption: 'decrypt' }
  for (const { words: [, what, first = '', second = '', third] } of lines) {
    if (what === 'disks' && first === 'per-volume') layout.disks = 'per-volume'
    else if (what === 'encryption' && first === 're-encrypt') layout.encryption = 're-encrypt'
    else if (what === 'size') layout.sizes.push({ volume: first, sizeBytes: bytes(second) })
    else if (what === 'group') {
      const known = layout.groups.find(g => g.name === first)
      const group: LayoutOptions['groups'][number] = known ?? { name: first }
      Object.assign(group, second === 'size' ? { sizeBytes: bytes(third) } : { maxPhysicalVolumeBytes: bytes(third) })
      if (known === undefined) layout.groups.push(group)
    }
    else throw new Error(`no such option: ${String(what)} ${first}`)
  }
  return layout
}
