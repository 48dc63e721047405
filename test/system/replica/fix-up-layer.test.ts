/** The throw-away layer over a replica's volumes, with real overlays on directories. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mountVirtual } from '../../../src/posix/mounting.ts'
import { clearLayer, FixUpLayer } from '../../../src/replica/fix-up-layer.ts'
import type { MountedVolume } from '../../../src/storage/volume-stack.ts'
import { mounted, noOverlay } from './layered-volumes.ts'

const signal = AbortSignal.timeout(120_000)

const mountsIn = (directory: string): string[] => readFileSync('/proc/self/mounts', 'utf8').split('\n').filter(line => line.split(' ')[1]?.startsWith(directory))

function volumes(t: Test): { base: string, below: readonly MountedVolume[], layer: string } {
  const base = t.testdir({ root: { etc: { fstab: 'old\n', gone: 'x' }, boot: { efi: {} } }, esp: { EFI: { debian: { 'shimx64.efi': 'shim' } } } })
  return { base, below: [mounted(join(base, 'root'), '/'), mounted(join(base, 'esp'), '/boot/efi', 'vfat')], layer: join(base, 'layer') }
}

t.test('what is written to the layer does not reach the volumes, and goes with it', { skip: noOverlay() }, async t => {
  const { base, below, layer } = volumes(t)
  {
    await using made = await FixUpLayer.make(layer, below, signal)
    const [root = '', esp = ''] = made.mounted.map(m => m.mountPoint)
    t.equal(readFileSync(join(root, 'etc/fstab'), 'utf8'), 'old\n')
    writeFileSync(join(root, 'etc/fstab'), 'new\n')
    rmSync(join(root, 'etc/gone'))
    mkdirSync(join(esp, 'EFI/BOOT'))
    writeFileSync(join(esp, 'EFI/BOOT/BOOTX64.EFI'), 'shim')
    t.equal(readFileSync(join(esp, 'EFI/debian/shimx64.efi'), 'utf8'), 'shim', 'FAT is copied')
    t.match(mountsIn(layer)[0], /^\/dev\/landfall-test-root .* overlay /, 'a boot loader finds the device of the volume')
    t.equal(statSync(root).mode, statSync(join(base, 'root')).mode)
    t.ok((await made.space('/boot')).freeBytes > 0)
  }
  t.equal(readFileSync(join(base, 'root/etc/fstab'), 'utf8'), 'old\n')
  t.same(readdirSync(join(base, 'root/etc')), ['fstab', 'gone'])
  t.same(readdirSync(join(base, 'esp/EFI')), ['debian'])
  t.same(mountsIn(layer), [])
  t.notOk(existsSync(layer))
})

t.test('what a crash left is taken away by the next one', { skip: noOverlay() }, async t => {
  const { below, layer } = volumes(t)
  const lost = await FixUpLayer.make(layer, below, signal)
  writeFileSync(join(lost.mounted[0]?.mountPoint ?? '', 'etc/fstab'), 'lost\n')
  await using made = await FixUpLayer.make(layer, below, signal)
  t.equal(readFileSync(join(made.mounted[0]?.mountPoint ?? '', 'etc/fstab'), 'utf8'), 'old\n')
  t.equal(mountsIn(layer).length, 1)
})

t.test('a layer that lies in memory goes with what is mounted in it, the innermost first', { skip: noOverlay() }, async t => {
  const { layer } = volumes(t)
  for (const at of [layer, join(layer, '0')]) {
    mkdirSync(at)
    await mountVirtual('tmpfs', at, ['nosuid', 'nodev'])
  }
  await clearLayer(layer)
  t.same(mountsIn(layer), [])
  t.notOk(existsSync(layer))
})
