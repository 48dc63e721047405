import t from 'tap'
import { keptName, shownName } from '../../../src/hypervisor/vsphere-inventory.ts'

t.test('names that vSphere keeps escaped are shown as people wrote them, and back', async t => {
  for (const [kept, shown] of [['a%2fb', 'a/b'], ['100%25', '100%'], ['x%5cy', 'x\\y'], ['plain name', 'plain name'], ['%252f', '%2f']] as const) {
    t.equal(shownName(kept), shown)
    t.equal(keptName(shown), kept)
  }
})

t.test('the case of the escape does not matter, and other percent signs stay', async t => {
  t.equal(shownName('a%2Fb'), 'a/b')
  t.equal(shownName('50%20off'), '50%20off')
})
