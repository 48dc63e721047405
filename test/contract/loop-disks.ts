/** Blank disks on loop devices, found by links as the lab presents them. For tests that run as root. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

export interface LoopDisks extends Disposable {
  /** `state` and `by-serial` lie in it */
  directory: string
  diskUuids: readonly string[]
  devices: readonly string[]
}

/** Why loop disks cannot be used here, or false. */
export function noLoopDisks(): string | false {
  const reason = process.getuid?.() === 0 ? false : 'needs root for loop devices and mounts'
  if (reason !== false && process.env['REQUIRE_SYSTEM'] === '1') throw new Error(reason)
  return reason
}

/** Makes one sparse disk per size. Disposing unmounts what is left below the directory, and takes partitions, loops and files away. */
export function makeLoopDisks(sizesBytes: readonly number[]): LoopDisks {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-disks-'))
  mkdirSync(join(directory, 'by-serial'))
  mkdirSync(join(directory, 'state'))
  const devices: string[] = []
  const diskUuids = sizesBytes.map((sizeBytes, i) => {
    const image = join(directory, `disk${String(i)}.raw`)
    writeFileSync(image, '')
    truncateSync(image, sizeBytes)
    const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
    devices.push(device)
    const uuid = `6000c29${String(i)}${basename(directory).slice(-6).replace(/./g, c => c.charCodeAt(0).toString(16))}`.padEnd(32, '0').slice(0, 32)
    symlinkSync(device, join(directory, 'by-serial', uuid))
    return uuid
  })
  return {
    directory, diskUuids, devices,
    [Symbol.dispose]: () => {
      for (const place of mountPoints(directory).reverse()) execFileSync('umount', ['--', place])
      for (const device of devices) {
        if (readdirSync(`/sys/class/block/${basename(device)}`).some(name => name.startsWith(basename(device)))) execFileSync('partx', ['--delete', device])
        execFileSync('losetup', ['--detach', device])
      }
      rmSync(directory, { recursive: true })
    },
  }
}

/** What is mounted below the directory, in the order in which it was mounted. */
export function mountPoints(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').flatMap(line => {
    const mountPoint = line.split(' ')[4]
    return mountPoint?.startsWith(`${directory}/`) === true ? [mountPoint] : []
  })
}
