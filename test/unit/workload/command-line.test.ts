import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { commandLineOf, grubCommandLine } from '../../../src/workload/command-line.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'

const unexpected = (f: Finding): void => { throw new Error(f.message) }

t.test('the command line stands behind the kernel of the first entry', t => {
  t.equal(grubCommandLine('menuentry x {\n\tlinux\t/boot/vmlinuz-6.1 root=UUID=1 ro quiet\n\tinitrd /i\n}\nmenuentry y {\n linux /v2 root=2\n}'), 'root=UUID=1 ro quiet')
  t.equal(grubCommandLine('  linux16 /vmlinuz root=/dev/sda1 \n'), 'root=/dev/sda1')
  t.equal(grubCommandLine('# linux is good\nset linux=1\n'), '')
  t.end()
})

t.test('without a grub.cfg entry the newest loader entry counts', async t => {
  const dir = t.testdir({ boot: { grub2: { 'grub.cfg': 'blscfg\n' }, loader: { entries: {
    'id-5.14.conf': 'title a\noptions root=old\n', 'id-6.1.conf': 'title b\noptions root=new ro\n', 'id-rescue.conf': 'options rescue\n',
  } } } })
  t.equal(await commandLineOf(await SourceRoot.open(dir, unexpected)), 'root=new ro')
  t.equal(await commandLineOf(await SourceRoot.open(t.testdir({}), unexpected)), '')
})
