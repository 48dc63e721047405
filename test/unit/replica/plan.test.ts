import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ReplicaPlan } from '../../../src/domain/replica.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import type { JobOptions } from '../../../src/domain/job.ts'
import { macFor, planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { debian12, ext4, GIB, MIB, options, places, volume, xfs } from './workloads.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/replica')

/** name: what it shows; the expected plan lies in fixtures/replica/<name>/plan.json */
const CASES: Record<string, () => { workload: Workload, options: JobOptions }> = {
  'debian-12-mbr-and-xfs-disk': () => ({ workload: debian12(), options: options() }),
  'one-adapter-discarded-and-volumes-left-out': () => ({ workload: debian12(), options: options({ volumes: ['/'], networks: [{ sourceMac: '52:54:00:12:34:57', network: null }, { sourceMac: '52:54:00:12:34:56', network: 'isolated' }], diskFormat: 'flat' }) }),
  'partitions-from-sector-63': () => {
    const workload = debian12()
    const vda = workload.disks.find(d => d.name === 'vda')
    for (const p of vda?.partitions ?? []) p.startBytes += 63 * 512 - MIB
    return { workload, options: options() }
  },
  'gpt-full-to-the-end-and-nvme': () => {
    const workload = debian12()
    workload.disks = [{ name: 'nvme0n1', sizeBytes: 5 * GIB, sectorSizeBytes: 4096, table: 'gpt', tableId: '0B1C2D3E-0000-4000-8000-0000000000FF', partitions: [
      { number: 1, startBytes: MIB, sizeBytes: MIB, type: '21686148-6449-6E6F-744E-656564454649', uuid: '0B1C2D3E-0000-4000-8000-0000000000F1', name: '', bootable: false },
      { number: 2, startBytes: 2 * MIB, sizeBytes: 5 * GIB - 2 * MIB, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', uuid: '0B1C2D3E-0000-4000-8000-0000000000F2', name: 'root', bootable: false },
    ] }]
    workload.volumes = [volume('nvme0n1', 2, '/', ext4('dd000000-0000-4000-8000-000000000002', 5 * GIB - 2 * MIB), 5 * GIB - 2 * MIB)]
    return { workload, options: options() }
  },
  'old-kernel-without-pvscsi-on-an-old-vcenter': () => {
    const workload = debian12()
    workload.os = { ...workload.os, id: 'ubuntu', idLike: ['debian'], versionId: '12.04', prettyName: 'Ubuntu 12.04' }
    workload.boot.kernels.push({ version: '3.2.0-23-virtual', imagePath: '/boot/vmlinuz-3.2.0-23-virtual', initramfsPath: '/boot/initrd.img-3.2.0-23-virtual', drivers: ['mptspi', 'e1000'], running: false })
    return { workload, options: options({ sockets: 2, coresPerSocket: 1, memoryMiB: 1023 }) }
  },
}

for (const [name, input] of Object.entries(CASES)) {
  t.test(`the plan for ${name.replaceAll('-', ' ')} is the recorded one`, async t => {
    const plan = planReplica({ jobId: 'job1', places: places(name.includes('old-vcenter') ? { apiVersion: '6.0' } : {}), ...input() })
    ReplicaPlan.parse(plan)
    const file = join(FIXTURES, name, 'plan.json')
    if (process.env['GOLDEN'] === 'update') {
      mkdirSync(join(FIXTURES, name), { recursive: true })
      writeFileSync(file, `${JSON.stringify(plan, null, 2)}\n`)
    }
    t.same(plan, JSON.parse(readFileSync(file, 'utf8')))
  })
}

t.test('the same input gives the same plan, and another job other addresses and disks', async t => {
  const input = { workload: debian12(), options: options(), places: places() }
  const first = planReplica({ jobId: 'job1', ...input })
  t.same(planReplica({ jobId: 'job1', ...input }), first)
  const second = planReplica({ jobId: 'job2', ...input })
  t.not(second.adapters[0]?.mac, first.adapters[0]?.mac)
  t.not(second.disks[0]?.path, first.disks[0]?.path)
})

t.test('the disk the firmware starts from comes first, whatever the source calls it', async t => {
  const plan = planReplica({ jobId: 'job1', workload: debian12(), options: options(), places: places() })
  t.same(plan.disks.map(d => d.sourceDisk), ['vda', 'vdb'])
  t.same(plan.volumes.map(v => [v.index, v.volume.mountPoint, v.disk, v.partition]), [[0, '/', 0, 2], [1, '/boot', 0, 1], [2, '/srv/data', 1, 1], [-1, undefined, 0, 5]])
})

t.test('no partition moves against another and none leaves its disk', async t => {
  for (const input of Object.values(CASES)) {
    const { workload, options: chosen } = input()
    for (const disk of planReplica({ jobId: 'j', workload, options: chosen, places: places() }).disks) {
      const source = workload.disks.find(d => d.name === disk.sourceDisk)
      const shifts = new Set(disk.partitions.map((p, i) => p.startBytes - (source?.partitions[i]?.startBytes ?? 0)))
      t.equal(shifts.size, 1, disk.sourceDisk)
      for (const p of disk.partitions) t.ok(p.startBytes >= MIB && p.startBytes + p.sizeBytes + (disk.table === 'gpt' ? 33 * 512 : 0) <= disk.sizeBytes)
      t.equal(disk.sizeBytes % MIB, 0)
    }
  }
})

t.test('addresses lie in the range for manual assignment and never repeat', async t => {
  const taken = new Set<string>()
  for (let i = 0; i < 2000; i++) {
    const mac = macFor('job', `52:54:00:00:${String(Math.floor(i / 100)).padStart(2, '0')}:${String(i % 100).padStart(2, '0')}`, taken)
    if (!/^00:50:56:[0-3][0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}$/.test(mac)) t.fail(mac)
    taken.add(mac)
  }
  t.equal(taken.size, 2000)
  t.not(macFor('job', 'x', new Set([macFor('job', 'x', new Set())])), macFor('job', 'x', new Set()))
})

t.test('a swap file is no volume of its own, and an unsupported volume that nobody chose stays out', async t => {
  const workload = debian12()
  const file = volume('vda', 2, undefined, { ...xfs('x', GIB), type: 'swap', typeName: 'swap', properties: { swapfile: 'yes' } }, GIB)
  const odd = { ...volume('vdb', 1, '/odd', { ...ext4('y', GIB), type: 'unsupported' as const, typeName: 'zfs' }, GIB), unsupportedReason: 'ZFS' }
  workload.volumes.push(file, odd)
  const plan = planReplica({ jobId: 'job1', workload, options: options(), places: places() })
  t.notOk(plan.volumes.some(v => v.volume === file || v.volume === odd))
  t.ok(plan.differences.some(d => d.code === 'VOLUME_LEFT_OUT' && d.subject === '/odd' && d.message.includes('ZFS')))
})

t.test('a group has a temporary name that the kernel takes with each of its volumes', async t => {
  const named = (group: string, volume: string): string | undefined => {
    const { workload, layout } = readSource('names', `os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 2G none\nvg ${group} vda\nlv ${group}/${volume} 1G\nfs / ${group}/${volume} ext4:2016\n`)
    return planReplica({ jobId: '0c6b1a2e-0000-4000-8000-000000000001', workload, options: options({ layout }), places: places() }).volumeGroups?.[0]?.temporaryName
  }
  t.equal(named('my-vg', 'root'), 'm_0c6b1a2e-0000-4000-8000-000000000001_my-vg')
  const short = named('v', 'r-'.repeat(36).slice(0, -1))
  t.match(short, /^m_[0-9a-f]{32}$/, 'dashes count twice')
  t.not(short, named('w', 'r-'.repeat(36).slice(0, -1)))
})
