/**
 * Which appliance a command speaks to, and as whom. An option wins over the environment, the environment over what `landfall login` stored
 * in ~/.config/landfall/login.json (mode 0600). Tokens and passwords are never options: other users see the arguments of a process.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export const ConnectionOptions = z.object({ url: z.string().optional(), ca: z.string().optional(), tokenFile: z.string().optional() })
export type ConnectionOptions = z.infer<typeof ConnectionOptions>

export interface Settings {
  url: URL
  /** undefined before a login */
  token: string | undefined
  /** PEM; undefined: the CAs that Node trusts */
  ca: string | undefined
}

export const Login = z.object({ version: z.literal(1), url: z.string(), ca: z.string().optional(), token: z.string().optional() })
export type Login = z.infer<typeof Login>

const DEFAULT_URL = 'https://localhost:6325'
const MAX_SECRET_CHARACTERS = 4096

/** @throws {AppError} REQUEST_INVALID when the address is none or a named file cannot be read */
export async function readSettings(options: ConnectionOptions, environment: Environment): Promise<Settings> {
  const login = await readLogin(environment)
  const given = options.url ?? set(environment['LANDFALL_URL'])
  const url = parseUrl(given ?? login?.url ?? DEFAULT_URL)
  // what was stored belongs to the appliance that it was stored for
  const stored = login !== undefined && parseUrl(login.url).origin === url.origin ? login : undefined
  const caFile = options.ca ?? set(environment['LANDFALL_CA'])
  const token = options.tokenFile === undefined ? set(environment['LANDFALL_TOKEN']) ?? stored?.token : await readSecretFile(options.tokenFile)
  return { url, token, ca: caFile === undefined ? stored?.ca : await readNamed(caFile) }
}

/** @throws {AppError} REQUEST_INVALID unless it is an https address */
export function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new AppError('REQUEST_INVALID', `the address of the appliance must be like https://appliance:6325, not "${text}"`)
  }
  return url
}

/** The first line of a file that holds a token or a password. @throws {AppError} REQUEST_INVALID */
export async function readSecretFile(path: string): Promise<string> {
  const secret = (await readNamed(path)).split(/\r?\n/, 1)[0] ?? ''
  if (secret === '' || secret.length > MAX_SECRET_CHARACTERS) throw new AppError('REQUEST_INVALID', `the first line of ${path} must hold the secret`)
  return secret
}

/** The text of a file that the user named. @throws {AppError} REQUEST_INVALID when it cannot be read */
export async function readNamed(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new AppError('REQUEST_INVALID', `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

export async function readLogin(environment: Environment): Promise<Login | undefined> {
  const path = loginPath(environment)
  if (path === undefined) return undefined
  let text
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new AppError('REQUEST_INVALID', `cannot read ${path}`, { cause: error })
  }
  try {
    return Login.parse(JSON.parse(text))
  } catch (error) {
    throw new AppError('REQUEST_INVALID', `${path} is damaged: run "landfall login" again`, { cause: error })
  }
}

/** Writes beside and renames; readable by the user only. */
export async function storeLogin(login: Login, environment: Environment): Promise<string> {
  const path = loginPath(environment)
  if (path === undefined) throw new AppError('REQUEST_INVALID', 'cannot store the login: neither HOME nor XDG_CONFIG_HOME is set')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const beside = `${path}.${String(process.pid)}.new`
  {
    await using file = await open(beside, 'w', 0o600)
    await file.writeFile(`${JSON.stringify(login, null, 2)}\n`)
    await file.sync()
  }
  await rename(beside, path)
  return path
}

function loginPath(environment: Environment): string | undefined {
  const base = set(environment['XDG_CONFIG_HOME']) ?? (set(environment['HOME']) === undefined ? undefined : join(environment['HOME'] ?? '', '.config'))
  return base === undefined ? undefined : join(base, 'landfall/login.json')
}

function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
