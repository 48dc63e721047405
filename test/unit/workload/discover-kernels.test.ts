import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { discoverKernels } from '../../../src/workload/discover-kernels.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'

const unexpected = (f: Finding): void => { throw new Error(f.message) }

t.test('kernels come with their initramfs and their drivers, modules or built in', async t => {
  const dir = t.testdir({
    boot: {
      'vmlinuz-6.1.0-1-amd64': '', 'initrd.img-6.1.0-1-amd64': '', 'vmlinuz-5.14.0-1.el9': '', 'initramfs-5.14.0-1.el9.img': '', 'vmlinuz-5.3-default': '',
      'initrd-5.3-default': '', 'vmlinuz-0-rescue-abc': '', 'config-6.1.0-1-amd64': '', 'vmlinuz-bare': '',
    },
    lib: { modules: {
      '6.1.0-1-amd64': {
        'modules.dep': 'kernel/drivers/scsi/vmw_pvscsi.ko: kernel/drivers/scsi/scsi_mod.ko\nkernel/drivers/net/vmxnet3/vmxnet3.ko.xz:\nkernel/drivers/scsi/mptspi.ko.zst:\nkernel/x/e1000x.ko: kernel/e1000.ko\n',
        'modules.builtin': 'kernel/drivers/scsi/sd_mod.ko\nkernel/drivers/ata/ahci.ko\n',
      },
      '5.14.0-1.el9': { 'modules.dep': 'kernel/drivers/scsi/vmw-pvscsi.ko:\n' },
    } },
  })
  t.same(await discoverKernels(await SourceRoot.open(dir, unexpected), '6.1.0-1-amd64'), [
    { version: '5.14.0-1.el9', imagePath: '/boot/vmlinuz-5.14.0-1.el9', initramfsPath: '/boot/initramfs-5.14.0-1.el9.img', drivers: ['vmw_pvscsi'], running: false },
    { version: '5.3-default', imagePath: '/boot/vmlinuz-5.3-default', initramfsPath: '/boot/initrd-5.3-default', drivers: [], running: false },
    { version: '6.1.0-1-amd64', imagePath: '/boot/vmlinuz-6.1.0-1-amd64', initramfsPath: '/boot/initrd.img-6.1.0-1-amd64', drivers: ['vmw_pvscsi', 'mptspi', 'ahci', 'sd_mod', 'vmxnet3'], running: true },
    { version: 'bare', imagePath: '/boot/vmlinuz-bare', drivers: [], running: false },
  ])
})

t.test('a tree without /boot has no kernels', async t => {
  t.same(await discoverKernels(await SourceRoot.open(t.testdir({}), unexpected), ''), [])
})
