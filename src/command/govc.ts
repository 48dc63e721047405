/** VMware's command line, for what the vSphere client of ours does not do: importing an OVA. Never in the replication path. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

/** Where govc logs in. The password travels in the environment, never in an argument. */
export interface GovcTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** file with the CAs (PEM) that the server's certificate must verify with */
  readonly caFile: string
}

export interface GovcOptions { readonly signal: AbortSignal, readonly timeoutMs: number }

/** Where an OVA goes, and what its properties are. */
export interface OvaImport {
  readonly file: string
  readonly vmName: string
  readonly datastore: string
  readonly host: string
  /** name of the network in the OVA -> name of the network on the host */
  readonly networks: Readonly<Record<string, string>>
  readonly properties: Readonly<Record<string, string>>
}

const About = z.object({ about: z.object({ fullName: z.string(), apiVersion: z.string() }) })

/** The product and the API version of the server. @throws {AppError} TOOL_FAILED, TOOL_OUTPUT, TOOL_MISSING, TOOL_TIMEOUT */
export async function govcAbout(runner: Runner, target: GovcTarget, options: GovcOptions): Promise<{ product: string, apiVersion: string }> {
  const { stdout } = await runner.run('govc', ['about', '-json'], { ...options, env: environment(target) })
  const read = About.safeParse(json(stdout))
  if (!read.success) throw new AppError('TOOL_OUTPUT', 'govc about answered in a form that is not known', { cause: read.error })
  return { product: read.data.about.fullName, apiVersion: read.data.about.apiVersion }
}

/** Imports an OVA as a VM, powered off. @throws {AppError} TOOL_FAILED, TOOL_MISSING, TOOL_TIMEOUT */
export async function govcImportOva(runner: Runner, target: GovcTarget, ova: OvaImport, options: GovcOptions): Promise<void> {
  const spec = {
    DiskProvisioning: 'thin', PowerOn: false, Name: ova.vmName,
    NetworkMapping: Object.entries(ova.networks).map(([Name, Network]) => ({ Name, Network })),
    PropertyMapping: Object.entries(ova.properties).map(([Key, Value]) => ({ Key, Value })),
  }
  // The properties may hold first passwords: they go in by standard input ("-").
  const args = ['import.ova', '-json', '-options=-', `-name=${ova.vmName}`, `-ds=${ova.datastore}`, `-host=${ova.host}`, '--', ova.file]
  await runner.run('govc', args, { ...options, input: JSON.stringify(spec), env: environment(target) })
}

function environment(target: GovcTarget): Record<string, string> {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  return {
    GOVC_URL: `https://${host}:${String(target.port)}/sdk`, GOVC_USERNAME: target.user, GOVC_PASSWORD: target.password,
    GOVC_TLS_CA_CERTS: target.caFile, GOVC_PERSIST_SESSION: 'false',
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', 'govc answered with something that is not JSON', { cause: error })
  }
}
