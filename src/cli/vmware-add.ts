import type { Command } from 'commander'
import { z } from 'zod'
import { AddVmware, Problem, VmwareRecord } from '../domain/server.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Client } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { clean, fields, printJson } from './output.ts'
import { readSecretFile } from './settings.ts'
import type { Terminal } from './terminal.ts'

const Options = z.object({ host: z.string(), port: z.coerce.number().optional(), user: z.string(), passwordFile: z.string().optional(), acceptThumbprint: z.string().optional() })

/** 32 pairs of hex digits, as the appliance writes a SHA-256 thumbprint */
const THUMBPRINT = /\b[0-9A-F]{2}(?::[0-9A-F]{2}){31}\b/i
const LOGIN_TIMEOUT_MS = 120_000

/** `landfall vmware add`: registers a vCenter or ESXi; a certificate that no CA vouches for is shown and must be accepted once. */
export function addVmwareAdd(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'add <name>', summary: 'add a vCenter or a stand-alone ESXi server',
    details: 'The password comes from --password-file, LANDFALL_VMWARE_PASSWORD or a prompt.\nA certificate that cannot be verified is shown and has to be accepted once; then it is pinned.',
  }, surroundings, async ({ args, options, client, terminal, environment, signal, json }) => {
    const { passwordFile, ...given } = Options.parse(options)
    const password = passwordFile !== undefined ? await readSecretFile(passwordFile) : await passwordFrom(environment['LANDFALL_VMWARE_PASSWORD'], terminal, signal)
    const body = AddVmware.parse({ name: args[0], ...given, password })
    const record = await addAccepting(client, body, terminal, signal)
    if (json) printJson(terminal, record)
    else terminal.out(`Added ${record.name}.\n${fields([['Product', record.product], ['Certificate', record.thumbprint === '' ? 'verified' : `pinned ${record.thumbprint}`]])}`)
  }).requiredOption('--host <host>', 'name or address').requiredOption('--user <user>', 'user to log in as').option('--port <n>', 'port', '443')
    .option('--password-file <file>', 'file whose first line is the password').option('--accept-thumbprint <sha256>', 'accept the certificate with this SHA-256 thumbprint')
}

async function passwordFrom(variable: string | undefined, terminal: Terminal, signal: AbortSignal): Promise<string> {
  return variable !== undefined && variable !== '' ? variable : terminal.askHidden('Password: ', signal)
}

/** Asks once when the certificate is not trusted and somebody is there; the answer of the appliance shows subject, thumbprint and reason. */
async function addAccepting(client: Client, body: AddVmware, terminal: Terminal, signal: AbortSignal): Promise<VmwareRecord> {
  const add = async (request: AddVmware): Promise<VmwareRecord> => client.post('/vmware', VmwareRecord, { body: request, signal, timeoutMs: LOGIN_TIMEOUT_MS })
  try {
    return await add(body)
  } catch (error) {
    if (!isAppError(error, 'CERTIFICATE_UNTRUSTED') || !terminal.canAsk || body.acceptThumbprint !== undefined) throw error
    const problem = Problem.safeParse(error.cause)
    const thumbprint = THUMBPRINT.exec(problem.success ? problem.data.detail : error.message)?.[0]
    if (thumbprint === undefined) throw error
    terminal.err(`${clean(error.message)}\n`)
    if (!/^y(es)?$/i.test((await terminal.ask('Accept this certificate from now on? [y/N] ', signal)).trim())) {
      throw new AppError('CERTIFICATE_UNTRUSTED', 'the certificate was not accepted', { cause: error })
    }
    return add({ ...body, acceptThumbprint: thumbprint })
  }
}
