/** What fix-ups changed, read from real layers. */
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ChangedFiles } from '../../../src/replica/changed-files.ts'
import { FixUpLayer } from '../../../src/replica/fix-up-layer.ts'
import { mounted, noOverlay } from './layered-volumes.ts'

const signal = AbortSignal.timeout(120_000)

t.test('each look tells what changed since the one before, on every volume', { skip: noOverlay() }, async t => {
  const base = t.testdir({
    root: { etc: { fstab: 'old\n', lost: 'x', same: 'same\n', mode: 'm' }, opt: { ours: { bin: { node: 'n' }, note: 'y' }, theirs: 'z', linked: 'linked' }, boot: { efi: {} }, srv: { replaced: { old: '1', kept: '2' } } },
    esp: { EFI: { debian: { 'shimx64.efi': 'shim' }, old: 'o' } },
  })
  symlinkSync('/etc/fstab', join(base, 'root/etc/link'))
  symlinkSync('../etc', join(base, 'root/srv/elsewhere'))
  linkSync(join(base, 'root/opt/linked'), join(base, 'root/opt/twin'))
  const below = [mounted(join(base, 'root'), '/'), mounted(join(base, 'esp'), '/boot/efi', 'vfat')]
  await using layer = await FixUpLayer.make(join(base, 'layer'), below, signal)
  const [root = '', esp = ''] = layer.mounted.map(m => m.mountPoint)
  using changes = await ChangedFiles.open(layer.layered, true, signal)
  const look = async (): Promise<string[]> => (await changes.look(signal)).map(c => `${c.path}${c.gone === true ? '/' : ''} ${c.before === '' ? '-' : 'was'} ${c.after === '' ? '-' : 'is'}`)

  t.same(await look(), [], 'a new layer shows what the volumes are')
  writeFileSync(join(root, 'etc/fstab'), 'new\n')
  chmodSync(join(root, 'etc/mode'), 0o600)
  t.same(await look(), ['/etc/fstab was is', '/etc/mode was is'], 'a directory whose entries are the same ones is not told')
  t.same(await look(), [])

  rmSync(join(root, 'etc/lost'))
  rmSync(join(root, 'opt/ours'), { recursive: true })
  writeFileSync(join(root, 'etc/new'), 'new')
  writeFileSync(join(esp, 'EFI/old'), 'p')
  mkdirSync(join(esp, 'EFI/BOOT'))
  writeFileSync(join(esp, 'EFI/BOOT/BOOTX64.EFI'), 'shim')
  t.same(await look(), [
    '/boot/efi/EFI - -', '/boot/efi/EFI/BOOT - -', '/boot/efi/EFI/BOOT/BOOTX64.EFI - is', '/boot/efi/EFI/old was is',
    '/etc - -', '/etc/lost was -', '/etc/new - is', '/opt - -', '/opt/ours/ - -',
  ])

  rmSync(join(root, 'srv/elsewhere'))
  mkdirSync(join(root, 'srv/elsewhere'))
  writeFileSync(join(root, 'srv/elsewhere/fstab'), 'new\n')
  t.same(await look(), ['/srv - -', '/srv/elsewhere - -', '/srv/elsewhere/fstab - is'], 'a link that became a directory led to another file, which is not taken for what was there')

  rmSync(join(root, 'etc/new'))
  rmSync(join(root, 'etc/link'))
  writeFileSync(join(root, 'etc/link'), 'a file now')
  rmSync(join(esp, 'EFI/debian'), { recursive: true })
  rmSync(join(root, 'srv/replaced'), { recursive: true })
  mkdirSync(join(root, 'srv/replaced'))
  writeFileSync(join(root, 'srv/replaced/kept'), '2')
  writeFileSync(join(root, 'autorelabel'), '')
  t.same(await look(), [
    '/ - -', '/autorelabel - is', '/boot/efi/EFI - -', '/boot/efi/EFI/debian/ - -',
    '/etc - -', '/etc/link - is', '/etc/new was -', '/srv - -', '/srv/replaced - -', '/srv/replaced/old was -',
  ], 'what came with the layer and went, a link that became a file, a directory made anew with one file as it was')

  writeFileSync(join(root, 'etc/again'), 'linked')
  renameSync(join(root, 'etc/again'), join(root, 'opt/linked'))
  t.same(await look(), ['/etc - -', '/opt - -', '/opt/linked was is'], 'the other name has it no more, which is a change')

  chmodSync(join(root, 'srv/replaced/kept'), 0o600)
  t.same(await look(), ['/srv/replaced/kept was is'], 'its attributes count, too')
})

t.test('small texts have a diff against what they were at the look before', { skip: noOverlay() }, async t => {
  const base = t.testdir({ root: { etc: { fstab: 'a\nb\n', binary: 'x\0y' } } })
  await using layer = await FixUpLayer.make(join(base, 'layer'), [mounted(join(base, 'root'), '/')], signal)
  const [root = ''] = layer.mounted.map(m => m.mountPoint)
  using changes = await ChangedFiles.open(layer.layered, true, signal)
  writeFileSync(join(root, 'etc/fstab'), 'a\nc\n')
  writeFileSync(join(root, 'etc/binary'), 'x\0z')
  const [binary, first] = await changes.look(signal)
  t.equal(binary?.diff, undefined)
  t.match(first?.diff, /-b\n\+c/)
  writeFileSync(join(root, 'etc/fstab'), 'a\nd\n')
  const [second] = await changes.look(signal)
  t.match(second?.diff, /-c\n\+d/)
  t.equal(second?.before, first?.after)
})
