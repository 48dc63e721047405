/**
 * Who this agent is and whose: written when it enrols, read when it runs. The key never leaves this directory, and is of use on this machine alone: a copy of the
 * server would bring its own changes to the replica of the other.
 */
import { createHash } from 'node:crypto'
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
  /** of the machine that enrolled, where that has an identity */
  machine: z.string().optional(),
})

export interface AgentIdentity extends Identity {
  sourceId: string
  applianceHost: string
  replicationPort: number
}

/** What firmware or hypervisor call the machine; copies of a virtual machine have another one. */
const MACHINE = '/sys/class/dmi/id/product_uuid'

const fileIn = (stateDirectory: string): string => join(stateDirectory, 'identity.json')

/** Replaces what was there; survives a power loss when it resolves. */
export async function storeIdentity(stateDirectory: string, identity: AgentIdentity, machineFile = MACHINE): Promise<void> {
  const machine = await machineOf(machineFile)
  await writeFileAtomically(fileIn(stateDirectory), `${JSON.stringify({ version: 1, ...identity, ...machine === undefined ? {} : { machine } } satisfies z.infer<typeof StoredIdentity>)}\n`)
}

/** @throws {AppError} PEER_UNTRUSTED when this agent has not enrolled, SOURCE_CLONED when another machine has, CONFIG_INVALID when the file is damaged */
export async function readIdentity(stateDirectory: string, machineFile = MACHINE): Promise<AgentIdentity> {
  const file = fileIn(stateDirectory)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw new AppError('PEER_UNTRUSTED', `this agent has not enrolled yet: ${file} is not there`, { cause: error })
    throw new AppError('CONFIG_INVALID', `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  let stored: z.infer<typeof StoredIdentity>
  try {
    stored = StoredIdentity.parse(JSON.parse(text))
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `${file} is damaged: enrol again`, { cause: error })
  }
  const { machine, ...identity } = stored
  const here = machine === undefined ? undefined : await machineOf(machineFile)
  if (here !== undefined && here !== machine) throw new AppError('SOURCE_CLONED', `${file} belongs to another machine, of which this one is a copy, or whose disks it has now`)
  return identity
}

/** undefined where nothing tells: in a container, or without firmware that has a name for the machine */
async function machineOf(file: string): Promise<string | undefined> {
  const uuid = await readFile(file, 'latin1').then(text => text.trim().toLowerCase(), () => '')
  return uuid === '' ? undefined : createHash('sha256').update(`landfall-agent ${uuid}`).digest('hex')
}
