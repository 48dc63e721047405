import t from 'tap'
import { parseRelPath } from '../../../src/domain/rel-path.ts'
import { unreadFinding } from '../../../src/tree/unread.ts'

const path = parseRelPath(Buffer.from('d/f'))

void t.test('what is gone or replaced has vanished, whatever the errno', async t => {
  for (const errno of ['ENOENT', 'ENOTDIR', 'ELOOP', 'ESTALE']) t.match(unreadFinding(path, errno), { code: 'FILE_VANISHED', severity: 'warning', subject: 'd/f' })
})

void t.test('a read error names the errno, and the range when only that is lost', async t => {
  t.match(unreadFinding(path, 'EIO'), { code: 'FILE_UNREADABLE', severity: 'error', message: /EIO/ })
  t.match(unreadFinding(path, 'EIO', { offset: 8192, lengthBytes: 4096 }), { code: 'FILE_UNREADABLE', message: /4096 bytes at offset 8192/ })
})

void t.test('another mount, a size and attributes beyond what is carried are not supported', async t => {
  for (const errno of ['EXDEV', 'EFBIG']) t.equal(unreadFinding(path, errno).code, 'FILE_UNSUPPORTED')
  t.equal(unreadFinding(path, 'E2BIG').code, 'ATTRIBUTE_REFUSED', 'the rest of the file is copied')
})
