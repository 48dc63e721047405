/** The administrator's first API token: made at the first start, shown only to those who can read the state directory. */
import { join } from 'node:path'
import type { Logger } from '../logging/logger.ts'
import type { AccessStore } from '../server/server-store.ts'
import { makeToken } from '../server/token.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'

export const ADMIN_TOKEN_FILE = 'admin.token'

/** Nothing when there is any token already. The file is written first, so that a token that counts can always be found. */
export async function ensureFirstToken(access: AccessStore, stateDirectory: string, log: Logger): Promise<void> {
  if ((await access.list()).length > 0) return
  const { token, tokenId, hash } = makeToken()
  const path = join(stateDirectory, ADMIN_TOKEN_FILE)
  await writeFileAtomically(path, `${token}\n`)
  await access.put({ tokenId, hash, name: 'first administrator', role: 'admin', expiresAtMs: undefined })
  log.info({ path, audit: 'access.first-token' }, 'first administrator token was made')
}
