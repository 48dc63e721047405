/** Encrypts what must be stored and read again (passwords): AES-256-GCM with a key in a file of mode 0600 beside the database. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../errors/app-error.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

export class SecretBox {
  readonly #key: Buffer

  private constructor(key: Buffer) {
    this.#key = key
  }

  /** Reads the key, or makes it. @throws {AppError} STORE_INVALID when the file holds no key */
  static async open(keyPath: string): Promise<SecretBox> {
    const key = await readKey(keyPath) ?? await makeKey(keyPath)
    if (key.length !== KEY_BYTES) throw new AppError('STORE_INVALID', `${keyPath} holds no key of ${String(KEY_BYTES)} bytes`)
    return new SecretBox(key)
  }

  /** @param context what the secret belongs to; `open` needs the same, so that a stored secret cannot be moved to another record */
  seal(secret: string, context: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(context))
    return Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')
  }

  /** @throws {AppError} STORE_INVALID when the key or the context is another one, or the text was changed */
  open(sealed: string, context: string): string {
    const bytes = Buffer.from(sealed, 'base64')
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]).toString('utf8')
    } catch (error) {
      throw new AppError('STORE_INVALID', `the stored secret of ${context} cannot be decrypted with the key of this state directory`, { cause: error })
    }
  }
}

async function readKey(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new AppError('STORE_INVALID', `cannot read the key ${path}`, { cause: error })
  }
}

/** Written beside, synced, renamed, directory synced: a key that is lost makes every stored password unreadable. */
async function makeKey(path: string): Promise<Buffer> {
  const key = randomBytes(KEY_BYTES)
  const beside = `${path}.new`
  {
    await using file = await open(beside, 'w', 0o600)
    await file.writeFile(key)
    await file.sync()
  }
  await rename(beside, path)
  await using directory = await open(dirname(path), 'r')
  await directory.sync()
  return key
}
