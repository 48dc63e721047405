/** What old releases say of themselves, and what becomes of it: the family and the boot fix-ups. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { bootFamilyOf, releaseOf } from '../../../src/replica/boot-family.ts'
import { fixUpsOf } from '../../../src/replica/boot-fix-ups.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { BOOT_RULES } from '../../../src/replica/rules-boot.ts'
import { discoverBoot } from '../../../src/workload/discover-boot.ts'
import { discoverOs } from '../../../src/workload/discover-os.ts'
import { readRelease, releaseIn } from '../../../src/workload/release-files.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'
import { RED_HAT_5, RED_HAT_6, SUSE_11, workloadOf } from '../replica/root-trees.ts'
import { options, places } from '../replica/workloads.ts'

const RELEASES = fileURLToPath(new URL('../../../fixtures/workload/releases/', import.meta.url))
const unexpected = (): void => { throw new Error('a finding') }

/** id, version, family, release of the family. */
const KNOWN: Readonly<Record<string, readonly [string, string, string | undefined, number | undefined]>> = {
  'rhel-4': ['rhel', '4.8', 'rhel', undefined], 'rhel-5': ['rhel', '5.11', 'rhel', 5], 'rhel-6': ['rhel', '6.10', 'rhel', 6], 'centos-5': ['centos', '5.11', 'rhel', 5], 'centos-6': ['centos', '6.10', 'rhel', 6],
  'scientific-6': ['scientific', '6.10', 'rhel', 6], 'oracle-5': ['ol', '5.5', 'rhel', 5], 'oracle-6': ['ol', '6.10', 'rhel', 6], 'sles-11': ['sles', '11.4', 'suse', 11], 'sles-11-first': ['sles', '11', 'suse', 11],
  'sled-11': ['sled', '11.3', 'suse', 11], 'opensuse-11.4': ['opensuse', '11.4', 'suse', 11], 'ubuntu-10.04': ['ubuntu', '10.04', 'debian', 10], 'debian-6': ['debian', '6', 'debian', 6], 'debian-testing': ['debian', '', 'debian', 0],
  'amazon-2011': ['amzn', '2011.09', 'rhel', 6], 'nothing-known': ['', '', undefined, undefined], 'both': ['centos', '7', 'rhel', 7],
}

t.test('releases from before os-release are known by the files of their time', async t => {
  t.same(readdirSync(RELEASES).filter(name => name !== 'README').sort(), Object.keys(KNOWN).sort())
  for (const [name, expected] of Object.entries(KNOWN)) {
    const os = { ...await readRelease(await SourceRoot.open(`${RELEASES}${name}`, unexpected)), architecture: 'x86_64' }
    t.same([os.id, os.versionId, bootFamilyOf({ os }), releaseOf({ os })], expected, name)
  }
  t.equal(releaseIn('Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n')?.prettyName, 'Red Hat Enterprise Linux Server release 5.11 (Tikanga)')
  t.equal(releaseIn(`CentOS ${'x'.repeat(9000)}`)?.prettyName.length, 200, 'whatever stands there')
})

for (const [system, family, steps] of [[RED_HAT_5, 'rhel', 'initrd'], [RED_HAT_6, 'rhel', 'initramfs'], [SUSE_11, 'suse', 'initrd']] as const) {
  t.test(`${system.os.name}: what the agent finds in its tree leads to its fix-ups`, async t => {
    const root = await SourceRoot.open(t.testdir(system.tree), unexpected)
    const signal = AbortSignal.timeout(10_000)
    const { os } = await discoverOs(root, undefined, () => undefined)
    const { boot } = await discoverBoot({ root, live: false, kernel: { proc: '/nowhere', sys: '/nowhere', dev: '/nowhere' }, disks: [], maps: new Set(), report: unexpected, signal })
    t.same([bootFamilyOf({ os }), releaseOf({ os }), os.versionId], [family, Number.parseInt(system.os.versionId, 10), system.os.versionId])
    t.match(boot, { loader: 'grub-legacy', kernels: [{ version: system.kernel, initramfsPath: new RegExp(`^/boot/init.*${system.kernel}`) }] })
    const recorded = workloadOf(system)
    const workload = { ...recorded, os: { ...os, architecture: 'x86_64' }, boot: { ...recorded.boot, ...boot } }
    const input = { jobId: 'j', workload, options: options(), places: places() }
    const plan = planReplica(input)
    const refused = BOOT_RULES.filter(r => r.severity === 'error' && !['FIRMWARE', 'BOOT_DISK_TABLE'].includes(r.code)).flatMap(r => r.check({ ...input, plan }).map(p => `${r.code} ${p.message}`))
    t.same(refused, [])
    t.match(fixUpsOf({ workload, plan }).find(f => f.id === 'C15')?.title, new RegExp(`the ${steps} of`))
  })
}
