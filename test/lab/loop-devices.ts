/** Loop devices with partition nodes. No udev makes the nodes here: partx does. */
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { partitionsOf } from './places.ts'
import { tool } from './tool.ts'
import { waitUntil } from './process-identity.ts'

/** `file` as the kernel names it. */
export interface LoopDevice { device: string, file: string }

const NODES_MS = 2000

/**
 * Attaches the image; partitions that it has become nodes (/dev/loopNpM).
 * @throws {Error} with what partx says, when they do not within two seconds
 */
export async function attachLoop(file: string): Promise<LoopDevice> {
  const { stdout } = await tool('losetup', ['--find', '--show', '--', file])
  const device = stdout.trim()
  const attached = { device, file: await fileOf(device) ?? file }
  const expected = (await partitionsOf(file)).map(({ number }) => `${device}p${String(number)}`)
  if (expected.length === 0) return attached
  let said = ''
  try {
    // a scan of all devices by somebody else can keep one busy for a moment
    await waitUntil(`the partitions of ${file} on ${device}`, NODES_MS, async () => {
      said = (await tool('partx', ['--update', device], { allowedExitCodes: [1] })).stderr
      return expected.every(node => existsSync(node))
    })
  } catch (error) {
    await detachLoop(attached)
    throw new Error(`${expected.join()} of ${file} did not appear: ${said}`, { cause: error })
  }
  return attached
}

/**
 * Detaches the device, unless its number was given to another file meanwhile, and waits until the kernel has let go of the file.
 * @throws {Error} when it is in use for 20 seconds
 */
export async function detachLoop({ device, file }: LoopDevice): Promise<void> {
  if (await fileOf(device) !== file) return
  await tool('partx', ['--delete', device], { allowedExitCodes: [1] })
  await tool('losetup', ['--detach', device], { allowedExitCodes: [1] })
  await waitUntil(`${device} to be detached`, 20_000, async () => await fileOf(device) !== file)
}

async function fileOf(device: string): Promise<string | undefined> {
  const text = await readFile(`/sys/block/${basename(device)}/loop/backing_file`, 'utf8').catch(() => undefined)
  return text?.trimEnd().replace(/ \(deleted\)$/, '')
}

/** The loop devices whose files lie below `directory`. */
export async function loopsBelow(directory: string): Promise<LoopDevice[]> {
  const names = (await readdir('/sys/block')).filter(name => name.startsWith('loop'))
  const loops = await Promise.all(names.map(async name => ({ device: `/dev/${name}`, file: await fileOf(`/dev/${name}`) ?? '' })))
  return loops.filter(loop => loop.file.startsWith(`${directory}/`))
}

/** Mount points, in any mount namespace of this machine, of the device or one of its partitions. */
export async function mountsOf(device: string): Promise<string[]> {
  const seen = new Set<string>()
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter(entry => /^\d+$/.test(entry))) {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => undefined)
    if (namespace === undefined || seen.has(namespace)) continue
    seen.add(namespace)
    const mountInfo = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')
    for (const line of mountInfo.split('\n')) {
      const source = line.split(' - ')[1]?.split(' ')[1] ?? ''
      if (source === device || (source.startsWith(`${device}p`) && /^\d+$/.test(source.slice(device.length + 1)))) found.push(line.split(' ')[4] ?? '')
    }
  }
  return found
}
