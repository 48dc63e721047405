/** A source that changes under the mirror: what is read of it is a state that it had, or looks different from it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { SEED } from '../../seed.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { inShort, mirrorBetween } from '../../zoo/mirror-between.ts'
import { differences } from '../../zoo/zoo.ts'

/**
 * Small files come, change, shrink, go, and become links and directories, all the time; large ones, which are read last, change in place, shrink and
 * grow now and then, so that some change while they are read and not afterwards.
 */
const MUTATE = `
import os, random, shutil, sys
os.chdir(sys.argv[1])
random.seed(int(sys.argv[2]))
for i in range(6): open('large-%d' % i, 'wb').write(os.urandom(9 << 20))
print('ready', flush=True)
while True:
    path = 'f%d' % random.randrange(30)
    try:
        what = random.randrange(7)
        if random.randrange(100) == 0:
            fd = os.open('large-%d' % random.randrange(6), os.O_RDWR)
            if random.randrange(10) == 0: os.ftruncate(fd, random.randrange(8 << 20, 9 << 20))
            else: os.pwrite(fd, os.urandom(4096), random.randrange(0, 9 << 20))
            os.close(fd)
        elif what < 3:
            fd = os.open(path, os.O_CREAT | os.O_RDWR); os.pwrite(fd, os.urandom(4096), random.randrange(0, 2 << 20)); os.close(fd)
        elif what == 3: os.truncate(path, random.randrange(1 << 20))
        elif what == 4: os.unlink(path) if not os.path.isdir(path) else shutil.rmtree(path)
        elif what == 5: os.symlink('nowhere', path + 's'); os.rename(path + 's', path)
        else: os.mkdir(path); open(path + '/inside', 'w').write('inside')
    except OSError: pass
`

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  t.test(`files that change while they are mirrored from ${type} are equal afterwards or look different (SEED=${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
    using from = mountLoop(type)
    using to = mountLoop(type)
    const mutator = spawn('python3', ['-c', MUTATE, from.path, String(SEED)], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(mutator.stdout, 'data')
      for (const compare of ['none', 'attributes', 'data'] as const) {
        mutator.kill('SIGCONT')
        const { all } = await mirrorBetween(from.path, to.path, { compare })
        mutator.kill('SIGSTOP')
        // a name that becomes a link and a directory again in each of the rounds may be refused in each, which is told
        t.same(inShort(all).filter(line => !/^(FILE_VANISHED|REPLICA_REFUSED) /.test(line)), [], `comparing ${compare}`)
        // by attributes alone: a mix that looked equal would stay
        t.same(inShort((await mirrorBetween(from.path, to.path)).all), [])
        t.same(differences(from.path, to.path), [], `after comparing ${compare}`)
      }
    } finally {
      const ended = once(mutator, 'exit')
      mutator.kill('SIGKILL')
      await ended
    }
  })
}
