import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MOUNT_SKIP, mountSubvolume } from '../../zoo/loop-file-system.ts'

const CAPTURING = fileURLToPath(new URL('capturing-process.ts', import.meta.url))

/** The file behind a loop device; undefined when there is none. */
function imageOf(device: string): string | undefined {
  const file = `/sys/block/${basename(device)}/loop/backing_file`
  return existsSync(file) ? readFileSync(file, 'utf8').trim().replace(/ \(deleted\)$/, '') : undefined
}

void t.test('capturing a subvolume shows no mount, and a killed agent leaves none: the file system can be taken away', { skip: MOUNT_SKIP }, async t => {
  const volume = mountSubvolume('subvol=@')
  const device = execFileSync('findmnt', ['-nvo', 'SOURCE', volume.top], { encoding: 'utf8' }).trim()
  const mountsOf = (process: string): string[] => readFileSync(`/proc/${process}/mountinfo`, 'utf8').split('\n').filter(line => line.includes(` ${device} `))
  const image = imageOf(device)
  t.ok(image)
  const before = mountsOf('self')
  const agent = spawn(process.execPath, [CAPTURING, volume.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(agent, 'exit')
  try {
    await once(agent.stdout, 'data')
    t.same(mountsOf(String(agent.pid)), before)
  } finally {
    agent.kill('SIGKILL')
    await ended
    volume[Symbol.dispose]()
  }
  // a file system that is mounted somewhere, hidden or not, keeps its loop device
  t.not(imageOf(device), image)
})
