import t from 'tap'
import { createLab } from '../../lab/lab.ts'
import { migrate } from '../../lab/migrate.ts'

const LIMIT_MS = 1_000_000

t.test('a live server that is written to is migrated, boots as itself, and is equal in every byte and attribute', async (t) => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using lab = await createLab({ say: t.comment.bind(t), seed: 7 }, signal)
  const result = await migrate(lab, { spoil: false, onStep: t.comment.bind(t) }, signal)
  t.equal(result.hostName, 'src-db01')
  t.ok(result.proofs.duringMirror > 0, 'files were written during the mirror')
  t.equal(result.proofs.right, result.proofs.duringMirror, 'and the replica has each of them')
  t.ok(result.booted)
  t.strictSame(result.comparison.differences, [])
  t.strictSame(result.violations, [])
  t.ok(result.equal)
  t.ok(result.comparison.entries > 8000, 'the comparison saw the whole system')
  t.ok(result.comparison.fixups.some(f => f.path.includes('initrd.img')), 'the initramfs was made for the new hardware')
  t.ok(result.downtimeMs > 0)
})
