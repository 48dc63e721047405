/** A job whose source is encrypted and whose replica is encrypted anew, on in-memory versions of everything around it. */
import t from 'tap'
import type { LayoutOptions } from '../../src/domain/layout-options.ts'
import { readSource } from '../unit/replica/source-text.ts'
import { World } from './world.ts'

const TEXT = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 15G 83\nluks safe vda2 LUKS2\nvg my-vg safe\nlv my-vg/root 10G\nlv my-vg/swap 1G\nfs /boot vda1 ext4:2016\nfs / my-vg/root ext4:2016\nswap my-vg/swap\n'
const layout: LayoutOptions = { disks: 'matching', sizes: [], groups: [], encryption: 're-encrypt' }

function world(): World {
  return new World(readSource('shop', TEXT).workload)
}

t.test('without a passphrase the validation says what to do; nothing is made', async t => {
  await using w = world()
  const engine = await w.start()
  const { id } = await w.createJob({ layout })
  await engine.act(id, 'validate')
  const job = await w.until('invalid', 'ready')
  t.match(job?.validation.filter(f => f.severity === 'error'), [{ code: 'PASSPHRASE_MISSING', advice: /create it again/ }])
})

t.test('the replica is encrypted through an undone cutover and a restart; the passphrase goes when the replica is handed over', async t => {
  await using w = world()
  w.fail('hypervisor.createVm', 'VSPHERE_FAULT')
  const engine = await w.start()
  const { id } = await w.createJob({ layout })
  w.passphrases.set(id, 'correct horse')
  await engine.act(id, 'validate')
  const ready = await w.until('ready', 'invalid')
  t.match(ready?.plan?.differences.map(d => d.code), ['RE_ENCRYPTED', 'MAC_CHANGED'])
  await engine.act(id, 'start')
  await w.replicating()
  await engine.act(id, 'cutover')
  await w.until('provisioning', 'mirroring')
  await w.replicating()
  w.kill()
  const again = await w.start()
  await w.replicating()
  await again.act(id, 'cutover')
  const done = await w.until('completed', 'failed')
  t.equal(done?.state, 'completed')
  t.notMatch(JSON.stringify(done), /correct horse/)
  t.strictSame(w.violations, [])
  t.notOk(w.passphrases.has(id))
})

t.test('the passphrase of a job that is removed is forgotten', async t => {
  await using w = world()
  const engine = await w.start()
  const { id } = await w.createJob({ layout })
  w.passphrases.set(id, 'correct horse')
  await engine.act(id, 'remove')
  while (engine.list().length > 0) await new Promise(resolve => { setImmediate(resolve) })
  t.notOk(w.passphrases.has(id))
})
