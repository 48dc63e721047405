/**
 * A guest for what this machine's kernel cannot do (it has no device mapper): Debian's kernel of the lab's image under QEMU's software emulation, a root in
 * memory with some of this machine's programs, and disks that are plain files. It runs one script and ends; about 20 s, most of it the kernel's start.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { debianRoot } from '../lab/image/image.ts'
import { librariesOf, makeBlankDisk, PATH, programPath } from './program-root.ts'

export interface SmallGuest {
  /** names of programs, found on this machine */
  programs: readonly string[]
  /** names of kernel modules; what they need comes with them */
  modules: readonly string[]
  /** further files by their path in the guest: texts, and programs, which need nothing of this machine */
  files: Readonly<Record<string, string | Buffer>>
  diskSizesBytes: readonly number[]
  /** where the disks lie; those that are there are taken as they are. Left out: they end with the guest */
  disksIn?: string
  /** an image (program-root.ts) in which the script runs; it is the last disk */
  root?: string
  /** for sh; the disks are /dev/vda and so on */
  script: string
  timeoutMs: number
}

const VIRTIO = ['virtio_pci', 'virtio_blk']
/** the shell and what `init` uses, besides insmod, which is the image's own */
const BASE = ['sh', 'mount', 'umount', 'mkdir', 'cat', 'chroot']

/** What the script wrote on standard output and standard error. Rejects when the guest does not come to its end. */
export async function runInSmallGuest(guest: SmallGuest, signal: AbortSignal): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-guest-'))
  try {
    const tar = await debianRoot(() => undefined, signal)
    const { kernel, modules } = takeKernel(tar, directory, [...VIRTIO, ...guest.modules])
    const archive = new Archive()
    for (const name of [...BASE, ...guest.programs]) archive.program(name)
    archive.program('insmod', join(directory, 'usr/bin/kmod'))
    for (const [i, module] of modules.entries()) archive.file(`modules/${String(i).padStart(2, '0')}.ko`, readFileSync(join(directory, module)), 0o644)
    for (const [path, text] of Object.entries({ ...guest.files, 'script.sh': guest.script })) archive.file(path, Buffer.from(text), typeof text === 'string' ? 0o644 : 0o755)
    archive.file('init', Buffer.from(INIT.replace('RUN', guest.root === undefined ? 'sh /script.sh' : inRoot(guest.diskSizesBytes.length))), 0o755)
    const initrd = join(directory, 'initrd')
    writeFileSync(initrd, gzipSync(archive.end(), { level: 1 }))
    const images = guest.diskSizesBytes.map((size, i) => {
      const file = join(guest.disksIn ?? directory, `disk${String(i)}`)
      makeBlankDisk(file, size)
      return file
    })
    const disks = [...images, ...guest.root === undefined ? [] : [guest.root]].flatMap(file => ['-drive', `file=${file},if=virtio,format=raw`])
    const output = execFileSync('qemu-system-x86_64', [
      '-accel', 'tcg', '-m', guest.root === undefined ? '512' : '1024', '-nographic', '-no-reboot', '-nic', 'none', '-kernel', join(directory, kernel), '-initrd', initrd, '-append', 'console=ttyS0 quiet panic=-1 mitigations=off norandmaps', ...disks,
    ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: guest.timeoutMs, maxBuffer: 1 << 24 }).replaceAll('\r', '')
    const [, text] = /---begin---\n([\s\S]*)---end---\n/.exec(output) ?? []
    if (text === undefined) throw new Error(`the guest did not come to its end: ${output.slice(-2000)}`)
    return text
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const INIT = `#!/usr/bin/sh
export PATH=${PATH} LC_ALL=C
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module || echo "$module was not loaded"; done
i=0; while [ ! -b /dev/vda ] && [ $i -lt 100000 ]; do i=$((i+1)); done
echo ---begin---
{
RUN
} 2>&1
echo ---end---
echo o > /proc/sysrq-trigger
while :; do :; done
`

/** The script's own files, and the devices as this root has them, in the other one. */
function inRoot(disks: number): string {
  return [
    `mkdir /program; mount -t ext4 /dev/vd${String.fromCharCode('a'.charCodeAt(0) + disks)} /program`, 'for folder in dev proc sys; do mount --bind /$folder /program/$folder; done',
    'mount -t tmpfs tmpfs /program/state; mount -t tmpfs tmpfs /program/tmp; cat /script.sh > /program/script.sh; chroot /program sh /script.sh',
  ].join('\n')
}

/** Takes the kernel and the modules out of the image's root tree; paths below `directory`, modules in the order in which they can be loaded. */
function takeKernel(tar: string, directory: string, wanted: readonly string[]): { kernel: string, modules: string[] } {
  execFileSync('tar', ['--extract', '--file', tar, '--directory', directory, '--wildcards', './boot/vmlinuz-*', './usr/lib/modules/*/modules.dep', './usr/bin/kmod'])
  const kernel = readdirSync(join(directory, 'boot')).find(name => name.startsWith('vmlinuz-'))
  const version = readdirSync(join(directory, 'usr/lib/modules'))[0]
  if (kernel === undefined || version === undefined) throw new Error(`there is no kernel in ${tar}`)
  const folder = `usr/lib/modules/${version}`
  const needs = new Map(readFileSync(join(directory, folder, 'modules.dep'), 'utf8').split('\n').map(line => { const [module = '', rest = ''] = line.split(':'); return [module, rest.trim().split(' ').filter(m => m !== '')] as const }))
  const order: string[] = []
  const add = (module: string): void => {
    if (order.includes(module)) return
    for (const needed of needs.get(module) ?? []) add(needed)
    order.push(module)
  }
  for (const name of wanted) {
    const found = [...needs.keys()].find(module => module.endsWith(`/${name}.ko`))
    if (found !== undefined) add(found) // else it is built in
  }
  execFileSync('tar', ['--extract', '--file', tar, '--directory', directory, ...order.map(module => `./${folder}/${module}`)])
  return { kernel: `boot/${kernel}`, modules: order.map(module => `${folder}/${module}`) }
}

/** A cpio archive of the form that the kernel unpacks. */
class Archive {
  readonly #parts: Buffer[] = []
  readonly #known = new Set<string>()

  constructor() {
    for (const name of ['dev', 'proc', 'sys', 'tmp', 'run', 'etc']) this.#entry(name, Buffer.alloc(0), 0o040755)
  }

  /** A program with the libraries that it needs, all of this machine. */
  program(name: string, place = programPath(name)): void {
    this.file(`usr/bin/${name}`, readFileSync(place), 0o755)
    for (const library of librariesOf(place)) this.file(library.slice(1), readFileSync(library), 0o755)
  }

  file(path: string, content: Buffer, mode: number): void {
    const steps = path.split('/')
    for (let i = 1; i < steps.length; i++) this.#entry(steps.slice(0, i).join('/'), Buffer.alloc(0), 0o040755)
    this.#entry(path, content, 0o100000 | mode)
  }

  end(): Buffer {
    this.#entry('TRAILER!!!', Buffer.alloc(0), 0)
    return Buffer.concat(this.#parts)
  }

  #entry(path: string, content: Buffer, mode: number): void {
    if (this.#known.has(path)) return
    this.#known.add(path)
    const name = Buffer.from(`${path}\0`)
    const numbers = [this.#known.size, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0]
    const head = Buffer.from(`070701${numbers.map(n => n.toString(16).padStart(8, '0')).join('')}`)
    const padding = (length: number): Buffer => Buffer.alloc((4 - length % 4) % 4)
    this.#parts.push(head, name, padding(head.length + name.length), content, padding(content.length))
  }
}
