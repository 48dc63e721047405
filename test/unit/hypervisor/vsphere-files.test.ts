import t from 'tap'
import { sizeOfDescriptor } from '../../../src/hypervisor/vsphere-files.ts'

t.test('the size is the sum of the extents', async t => {
  t.equal(sizeOfDescriptor('# Disk DescriptorFile\nversion=1\ncreateType="vmfs"\n\n# Extent description\nRW 4192256 VMFS "a-s001.vmdk"\nRW 2048 VMFS "a-s002.vmdk"\n', 'read it'), 4194304 * 512)
})

t.test('a file without extents is no disk', async t => {
  t.throws(() => sizeOfDescriptor('KDMV\0\0binary RW 1 ', 'read the descriptor of [a] b'), { code: 'VSPHERE_STATE', message: /\[a\] b/ })
})
