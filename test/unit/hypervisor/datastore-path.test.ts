import t from 'tap'
import { formatDatastorePath, parseDatastorePath, samePath } from '../../../src/hypervisor/datastore-path.ts'

t.test('a path is read into datastore, folder and file, and written back', async t => {
  for (const [path, parts] of [
    ['[ds 1] web/web.vmdk', { datastore: 'ds 1', folder: 'web', file: 'web.vmdk' }],
    ['[ds] a/b/c d.vmdk', { datastore: 'ds', folder: 'a/b', file: 'c d.vmdk' }],
    ['[ds] top.vmdk', { datastore: 'ds', folder: '', file: 'top.vmdk' }],
  ] as const) {
    t.strictSame(parseDatastorePath(path), parts)
    t.equal(formatDatastorePath(parts), path)
  }
})

t.test('a folder is written without a trailing slash, and the top as the datastore alone', async t => {
  t.equal(formatDatastorePath({ datastore: 'ds', folder: 'a', file: '' }), '[ds] a')
  t.equal(formatDatastorePath({ datastore: 'ds', folder: '', file: '' }), '[ds]')
})

t.test('what could leave the datastore or names no file is refused', async t => {
  for (const path of ['', 'a.vmdk', '[ds]', '[ds] ', '[ds] ../a.vmdk', '[ds] a/./b.vmdk', '[ds] a//b.vmdk', '[ds] /a.vmdk', '[ds] a/', '[] a.vmdk']) {
    t.throws(() => parseDatastorePath(path), { code: 'REQUEST_INVALID' }, path)
  }
})

t.test('the blank after the datastore does not make another path', async t => {
  t.ok(samePath('[ds] a/b.vmdk', '[ds]a/b.vmdk'))
  t.notOk(samePath('[ds] a/b.vmdk', '[ds2] a/b.vmdk'))
})
