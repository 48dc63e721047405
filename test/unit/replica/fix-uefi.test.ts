import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FILL_EFI_BOOT } from '../../../src/replica/fix-uefi.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, options, places } from './workloads.ts'

type Folder = Record<string, string>

async function filled(t: Test, mount: string, osId: string, efi: Record<string, Folder>, firmware: 'bios' | 'uefi' = 'uefi'): Promise<{ boot: () => Record<string, string>, again: () => Promise<readonly string[]> }> {
  const root = t.testdir({ boot: { efi: {} }, efi: {}, ...(mount === '/efi' ? { efi: { EFI: efi } } : { boot: { efi: { EFI: efi } } }) })
  const files = await ReplicaFiles.open(root)
  t.teardown(async () => { await files[Symbol.asyncDispose]() })
  const workload = debian12()
  workload.os.id = osId
  const plan = { ...planReplica({ jobId: 'j', workload, options: options(), places: places() }), firmware }
  const again = async (): Promise<readonly string[]> => FILL_EFI_BOOT.fix({ plan, workload, options: options(), files, bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => { throw new Error('no program runs here') } }, AbortSignal.timeout(10_000))
  await again()
  const folder = join(root, mount, 'EFI/BOOT')
  return { again, boot: () => { try { return Object.fromEntries(readdirSync(folder).sort().map(n => [n, readFileSync(join(folder, n), 'utf8')])) } catch { return {} } } }
}

t.test('the shim with its GRUB; the fallback program only with the list that it needs', async t => {
  const debian = { 'shimx64.efi': 'shim', 'grubx64.efi': 'grub', 'mmx64.efi': 'mm', 'fbx64.efi': 'fb', 'grub.cfg': 'cfg' }
  const without = await filled(t, '/boot/efi', 'debian', { debian })
  t.same(without.boot(), { 'BOOTX64.EFI': 'shim', 'grubx64.efi': 'grub', 'mmx64.efi': 'mm', 'grub.cfg': 'cfg' })
  t.same(await without.again(), [], 'done again nothing is left to do')
  t.equal((await filled(t, '/efi', 'ubuntu', { ubuntu: { ...debian, 'BOOTX64.CSV': 'csv' } })).boot()['fbx64.efi'], 'fb')
})

t.test('GRUB alone, and GRUB legacy with its menu', async t => {
  t.same((await filled(t, '/boot/efi', 'opensuse-leap', { opensuse: { 'grubx64.efi': 'grub' } })).boot(), { 'BOOTX64.EFI': 'grub' })
  t.same((await filled(t, '/boot/efi', 'centos', { redhat: { 'grub.efi': 'legacy', 'grub.conf': 'menu' } })).boot(), { 'BOOTX64.EFI': 'legacy', 'BOOTX64.conf': 'menu' })
})

t.test('what another system left in EFI/BOOT is replaced, in whichever case its names are', async t => {
  t.same((await filled(t, '/boot/efi', 'rocky', { BOOT: { 'bootx64.efi': 'old' }, rocky: { 'SHIMX64.EFI': 'shim' }, Microsoft: { 'bootmgfw.efi': 'other' } })).boot(), { 'bootx64.efi': 'shim' })
})

t.test('SUSE\'s shim has its GRUB and its MOK manager by the names that it looks for', async t => {
  t.same((await filled(t, '/boot/efi', 'sles', { sles: { 'shim.efi': 'shim', 'grub.efi': 'grub', 'MokManager.efi': 'mok', 'grub.cfg': 'cfg' } })).boot(), { 'BOOTX64.EFI': 'shim', 'MokManager.efi': 'mok', 'grub.cfg': 'cfg', 'grub.efi': 'grub' })
})

t.test('a loader that was installed as on a removable medium, and no other, stays as it is', async t => {
  t.same((await filled(t, '/boot/efi', 'amzn', { BOOT: { 'BOOTX64.EFI': 'own', 'grub.cfg': 'cfg' } })).boot(), { 'BOOTX64.EFI': 'own', 'grub.cfg': 'cfg' })
})

t.test('the folder of the distribution comes before others', async t => {
  t.equal((await filled(t, '/boot/efi', 'almalinux', { aaa: { 'shimx64.efi': 'other' }, almalinux: { 'shimx64.efi': 'own' } })).boot()['BOOTX64.EFI'], 'own')
})

t.test('without a loader the cutover stops; with BIOS nothing is done', async t => {
  await t.rejects(filled(t, '/boot/efi', 'debian', { debian: { 'grub.cfg': 'x' } }), { code: 'BOOT_FIXUP_FAILED' })
  t.same((await filled(t, '/boot/efi', 'debian', { debian: { 'shimx64.efi': 'shim' } }, 'bios')).boot(), {})
})
