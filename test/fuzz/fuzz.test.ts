import t from 'tap'
import { MOUNT_SKIP } from '../zoo/loop-file-system.ts'
import { fuzz } from './fuzz.ts'
import { TARGETS } from './targets.ts'
import { SEED } from '../seed.ts'

const SECONDS = 4

for (const target of TARGETS) {
  void t.test(`spoiled bytes are taken or refused, and break nothing: ${target} (SEED=${String(SEED)})`, { skip: target === 'operations' ? MOUNT_SKIP : false }, async t => {
    const { runs, broken } = await fuzz({ target, seconds: SECONDS, seed: SEED })
    t.equal(broken, undefined, `npm run fuzz -- ${target} --seed ${String(SEED)}`)
    t.ok(runs > 200, `${String(runs)} inputs`)
  })
}
