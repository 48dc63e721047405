/** Who this agent is and whose: written when it enrols, read when it runs. The key never leaves this directory. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'
import type { Identity } from '../trust/peer-tls.ts'

/** One file, so that key, certificate and authority always belong together. */
const StoredIdentity = z.object({
  version: z.literal(1), sourceId: z.string(), applianceHost: z.string(), replicationPort: z.number().int(),
  keyPem: z.string(), certificatePem: z.string(), caPem: z.string(),
})

export interface AgentIdentity extends Identity {
  sourceId: string
  applianceHost: string
  replicationPort: number
}

const fileIn = (stateDirectory: string): string => join(stateDirectory, 'identity.json')

/** Replaces what was there; survives a power loss when it resolves. */
export async function storeIdentity(stateDirectory: string, identity: AgentIdentity): Promise<void> {
  await writeFileAtomically(fileIn(stateDirectory), `${JSON.stringify({ version: 1, ...identity } satisfies z.infer<typeof StoredIdentity>)}\n`)
}

/** @throws {AppError} PEER_UNTRUSTED when this agent has not enrolled, CONFIG_INVALID when the file is damaged */
export async function readIdentity(stateDirectory: string): Promise<AgentIdentity> {
  const file = fileIn(stateDirectory)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw new AppError('PEER_UNTRUSTED', `this agent has not enrolled yet: ${file} is not there`, { cause: error })
    throw new AppError('CONFIG_INVALID', `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  try {
    return StoredIdentity.parse(JSON.parse(text))
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `${file} is damaged: enrol again`, { cause: error })
  }
}
