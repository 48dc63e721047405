/** The product as it is installed in a guest: built to JavaScript, with Node and the packages that it needs, in /opt/landfall. Made anew for each run. */
import { chmod, copyFile, mkdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SMALL_ENVIRONMENT, SMALL_FLAGS } from '../../../src/bin/start-small.ts'
import { IMAGE_SCRIPTS, NODE, PROJECT } from '../paths.ts'
import type { Place } from '../places.ts'
import type { RunDirectory } from '../run-directory.ts'
import { tool } from '../tool.ts'

/** Where it is in a guest. */
export const PRODUCT = '/opt/landfall'

export type Program = 'agent' | 'appliance'

/** What the programs import by name. */
const IMPORTS: Readonly<Record<Program, readonly string[]>> = {
  agent: ['commander', 'zod', 'pino', 'execa', '@peculiar/x509', 'reflect-metadata'],
  appliance: ['commander', 'zod', 'pino', 'execa', '@peculiar/x509', 'reflect-metadata', 'express', 'soap', 'axios', 'yaml'],
}
/** What the agent would give itself, by starting twice: code is compiled for the same flags. */
const FLAGS: Readonly<Record<Program, readonly string[]>> = { agent: SMALL_FLAGS, appliance: [] }
const ENVIRONMENT: Readonly<Record<Program, Readonly<Record<string, string>>>> = { agent: SMALL_ENVIRONMENT, appliance: {} }
const ADDON = ['landfall-posix.node', 'landfall-thaw', 'landfall-tell']
const UNITS = 'etc/systemd/system'
const BUILD_MS = 300_000

const Lock = z.object({ packages: z.record(z.string(), z.object({ dependencies: z.record(z.string(), z.string()).default({}) })) })

/** Builds it below the run's folder; answers the folder with `dist`, `addon` and Node. */
export async function buildProduct(run: RunDirectory, signal: AbortSignal): Promise<string> {
  const built = join(run.path, 'product')
  const dist = join(built, 'dist')
  await tool(NODE, [join(PROJECT, 'node_modules/typescript/bin/tsc'), '-p', join(PROJECT, 'tsconfig.build.json'), '--outDir', dist, '--noCheck', '--declaration', 'false', '--sourceMap', 'false'], { timeoutMs: BUILD_MS, signal, cwd: PROJECT })
  await mkdir(join(dist, 'posix/addon'), { recursive: true })
  for (const name of ADDON) await tool('strip', ['--strip-unneeded', '-o', join(dist, 'posix/addon', name), join(PROJECT, 'src/posix/addon', name)])
  await mkdir(join(built, 'bin'))
  await tool('strip', ['--strip-unneeded', '-o', join(built, 'bin/node'), await realpath(NODE)])
  await copyFile(join(PROJECT, 'package.json'), join(built, 'package.json'))
  return built
}

/** Puts the product into the file system at this place of an image, with a unit that a person would start. @param more writes further files into the tree that is copied */
export async function installProduct(run: RunDirectory, built: string, program: Program, place: Place, more: (root: string) => Promise<void> = async () => undefined): Promise<void> {
  const root = join(run.path, `install-${program}`)
  const to = join(root, PRODUCT)
  for (const directory of [join(to, 'bin'), join(root, 'usr/local/sbin'), join(root, UNITS)]) await mkdir(directory, { recursive: true })
  await tool('cp', ['-rl', ...['dist', 'bin', 'package.json'].map(name => join(built, name)), to])
  await copyPackages(program, to)
  const start = join(to, 'bin', `landfall-${program}`)
  const environment = Object.entries({ NODE_COMPILE_CACHE: `${PRODUCT}/cache`, ...ENVIRONMENT[program] }).map(([name, value]) => `${name}=${value}`).join(' ')
  await writeFile(start, `#!/bin/sh\nexport ${environment}\nexec ${PRODUCT}/bin/node ${FLAGS[program].join(' ')} ${PRODUCT}/dist/bin/${program}.js "$@"\n`)
  await chmod(start, 0o755)
  await symlink(`${PRODUCT}/bin/landfall-${program}`, join(root, 'usr/local/sbin', `landfall-${program}`))
  await writeFile(join(root, UNITS, `landfall-${program}.service`), `[Unit]\nDescription=Landfall ${program}\nAfter=network-online.target\n\n[Service]\nExecStart=${PRODUCT}/bin/landfall-${program} run${program === 'appliance' ? ' --config /etc/landfall/appliance.json' : ''}\nRestart=on-failure\n\n[Install]\nWantedBy=multi-user.target\n`)
  await more(root)
  // under emulation most of a start is compiling: it is done here
  await tool('bash', [join(IMAGE_SCRIPTS, 'guest-install.sh'), place.file, String(place.offsetBytes), String(place.sizeBytes), root, join(PRODUCT, 'bin', `landfall-${program}`), '--version'])
  await rm(root, { recursive: true })
}

/** Built once, it is not needed after the images have it. */
export async function dropProduct(built: string): Promise<void> {
  await rm(built, { recursive: true, force: true })
}

async function copyPackages(program: Program, to: string): Promise<void> {
  const { packages } = Lock.parse(JSON.parse(await readFile(join(PROJECT, 'package-lock.json'), 'utf8')))
  const wanted = new Set<string>()
  const add = (name: string, from: string): void => {
    const key = [...holders(from)].map(holder => `${holder}node_modules/${name}`).find(place => place in packages)
    if (key === undefined || wanted.has(key)) return
    wanted.add(key)
    for (const dependency of Object.keys(packages[key]?.dependencies ?? {})) add(dependency, `${key}/`)
  }
  for (const name of IMPORTS[program]) add(name, '')
  const what = [...wanted].filter(key => ![...wanted].some(other => key.startsWith(`${other}/`)))
  await tool('rsync', ['-a', '--relative', ...['*.d.ts', '*.d.cts', '*.d.mts', '*.map', '*.md', '*.ts', 'zod/src'].map(pattern => `--exclude=${pattern}`), ...what.map(key => `./${key}`), `${to}/`], { cwd: PROJECT })
}

/** The folders whose node_modules a package at `from` sees, the nearest first. */
function* holders(from: string): Generator<string> {
  yield from
  for (let at = from.lastIndexOf('node_modules/'); at > 0; at = from.slice(0, at).lastIndexOf('node_modules/')) yield from.slice(0, at)
  yield ''
}
