/**
 * A root tree for a guest that runs TypeScript of this repository: Node, what `entry` imports with its types taken away, the addon, the packages of that, and
 * programs of this machine with their libraries.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const FOLDERS = ['dev', 'proc', 'sys', 'tmp', 'run', 'etc', 'mnt', 'state', 'usr/bin', 'usr/sbin'] as const
const LINKS = [['usr/bin', 'bin'], ['usr/sbin', 'sbin'], ['usr/lib', 'lib'], ['usr/lib64', 'lib64']] as const
const SLACK_BYTES = 64 << 20

/** Makes an ext4 image. @param entry a TypeScript file of this repository; in the guest it is `/code/<its path>` with ".js" at the end */
export function makeProgramRoot(directory: string, image: string, entry: string, programs: readonly string[]): void {
  const root = join(directory, 'root')
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true })
  for (const folder of ['usr/lib', 'usr/lib64']) mkdirSync(join(root, folder), { recursive: true })
  for (const [target, name] of LINKS) symlinkSync(target, join(root, name))
  addProgram(root, process.execPath, 'usr/bin/node')
  for (const name of programs) addProgram(root, programPath(name))
  addCode(root, join(REPOSITORY, entry), new Set())
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-d', root, image, `${String(Math.ceil((sizeOf(root) + SLACK_BYTES) / 1024))}k`])
}

/** Where a program of this machine is. */
export function programPath(name: string): string {
  const place = PATH.split(':').map(folder => join(folder, name)).find(path => existsSync(path))
  if (place === undefined) throw new Error(`${name} is not installed`)
  return place
}

/** The libraries that a program or library of this machine needs; of a script none. */
export function librariesOf(file: string): string[] {
  if (readFileSync(file).subarray(0, 2).toString() === '#!') return []
  return [...execFileSync('ldd', [file], { encoding: 'utf8' }).matchAll(/(?:=> |^\s*)(\/\S+)/gm)].map(([, library = '']) => library)
}

function addProgram(root: string, place: string, as = place.slice(1)): void {
  const to = join(root, as)
  if (existsSync(to)) return
  if (lstatSync(place).isSymbolicLink()) {
    addProgram(root, resolve(dirname(place), readlinkSync(place)))
    symlinkSync(readlinkSync(place), to)
    return
  }
  put(place, to)
  for (const library of librariesOf(place)) put(library, join(root, library))
}

function addCode(root: string, file: string, known: Set<string>): void {
  if (known.has(file)) return
  known.add(file)
  const text = stripTypeScriptTypes(readFileSync(file, 'utf8'))
  const names = [...text.matchAll(/\bfrom '([^']+)'|\bimport '([^']+)'/g)].map(m => m[1] ?? m[2] ?? '')
  for (const name of names) {
    if (name.startsWith('.')) addCode(root, resolve(dirname(file), name), known)
    else if (!name.startsWith('node:')) addPackage(root, name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/'))
  }
  const to = join(root, 'code', relative(REPOSITORY, file))
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to.replace(/[.]ts$/, '.js'), text.replace(/(\b(?:from|import) '[.][^']+)[.]ts'/g, '$1.js\''))
  writeFileSync(join(root, 'code/package.json'), '{"type":"module"}')
  if (file.endsWith('src/posix/native.ts')) {
    const addon = join(dirname(file), 'addon/landfall-posix.node')
    put(addon, join(dirname(to), 'addon/landfall-posix.node'))
    for (const library of librariesOf(addon)) put(library, join(root, library))
  }
}

function addPackage(root: string, name: string): void {
  const to = join(root, 'code/node_modules', name)
  if (existsSync(to)) return
  const from = join(REPOSITORY, 'node_modules', name)
  cpSync(from, to, { recursive: true, filter: path => !/[.](?:d[.][cm]?ts|map|md)$|zod\/src$/.test(path) })
  const { dependencies = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { dependencies?: Record<string, string> }
  for (const dependency of Object.keys(dependencies)) addPackage(root, dependency)
}

function put(from: string, to: string): void {
  if (existsSync(to)) return
  mkdirSync(dirname(to), { recursive: true })
  const real = execFileSync('readlink', ['-f', from], { encoding: 'utf8' }).trim()
  try {
    linkSync(real, to)
  } catch {
    cpSync(real, to) // another file system
  }
}

function sizeOf(directory: string): number {
  return Number(execFileSync('du', ['-s', '--apparent-size', '--block-size=1', directory], { encoding: 'utf8' }).split('\t')[0])
}

/** A sparse file. */
export function makeBlankDisk(file: string, sizeBytes: number): void {
  if (existsSync(file)) return
  writeFileSync(file, '')
  truncateSync(file, sizeBytes)
}
