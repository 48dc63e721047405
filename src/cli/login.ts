import type { Command } from 'commander'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { Health } from '../domain/api.ts'
import { AppError } from '../errors/app-error.ts'
import { Client } from './client.ts'
import { addLocalCommand, type Surroundings } from './command.ts'
import { clean, printJson } from './output.ts'
import { ConnectionOptions, readSettings, storeLogin } from './settings.ts'

const Options = z.object({ caSha256: z.string().optional() })

const TIMEOUT_MS = 15_000

/**
 * `landfall login`: fetches the appliance's CA certificate, has its fingerprint confirmed once, and stores it with the token for later
 * commands. With --ca, or where a public CA vouches, nothing is asked.
 */
export function addLogin(parent: Command, surroundings: Surroundings): void {
  addLocalCommand(parent, {
    usage: 'login', summary: 'store address, CA and token of an appliance for later commands',
    details: 'Shows the fingerprint of the CA that the appliance presents and asks whether it is the right one; compare it with that on the appliance. The token comes from --token-file, LANDFALL_TOKEN or a prompt.',
  }, surroundings, async ({ options, environment, terminal, signal, json }) => {
    const settings = await readSettings(ConnectionOptions.parse(options), environment)
    const ca = settings.ca ?? await fetchCa(settings.url, signal)
    if (settings.ca === undefined) await confirm(ca, settings.url, Options.parse(options).caSha256, terminal, signal)
    const token = settings.token ?? (await terminal.askHidden('Access token: ', signal)).trim()
    const client = new Client({ ...settings, ca, token })
    try {
      const health = await client.get('/health', Health, { signal })
      const path = await storeLogin({ version: 1, url: settings.url.origin, ca, token }, environment)
      if (json) printJson(terminal, { url: settings.url.origin, version: health.version, stored: path })
      else terminal.out(`Logged in to ${settings.url.origin} (version ${clean(health.version)}); stored in ${path}.\n`)
    } finally {
      client.close()
    }
  }).option('--ca-sha256 <hex>', 'expected SHA-256 fingerprint of the CA, instead of a question')
}

async function confirm(ca: string, url: URL, expected: string | undefined, terminal: Surroundings['terminal'], signal: AbortSignal): Promise<void> {
  const certificate = new X509Certificate(ca)
  const sha256 = plainHex(certificate.fingerprint256)
  if (expected !== undefined) {
    if (plainHex(expected) === sha256) return
    throw new AppError('APPLIANCE_UNTRUSTED', `the CA of ${url.origin} has the SHA-256 fingerprint ${sha256}, not the expected one`)
  }
  if (!terminal.canAsk) throw new AppError('APPLIANCE_UNTRUSTED', `the CA of ${url.origin} (SHA-256 ${sha256}) has not been confirmed, and nobody can be asked`)
  terminal.err(`The CA of ${url.origin} is ${clean(certificate.subject)}\n  SHA-256 ${sha256}\n`)
  if (!/^y(es)?$/i.test((await terminal.ask('Is this the fingerprint that the appliance shows? [y/N] ', signal)).trim())) {
    throw new AppError('APPLIANCE_UNTRUSTED', `the CA of ${url.origin} was not accepted`)
  }
}

/**
 * The self-signed certificate at the end of the chain that the appliance presents. Nothing is sent on this connection.
 * @throws {AppError} LINK_REFUSED; APPLIANCE_UNTRUSTED when the chain does not hold its CA
 */
async function fetchCa(url: URL, signal: AbortSignal): Promise<string> {
  const chain = await new Promise<DetailedPeerCertificate>((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const refuse = (error: Error): void => { socket.destroy(); reject(new AppError('LINK_REFUSED', `cannot reach ${url.origin}: ${error.message}`, { cause: error })) }
    const socket = connect({ host, port: url.port === '' ? 443 : Number(url.port), rejectUnauthorized: false, timeout: TIMEOUT_MS, ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }) }, () => {
      resolve(socket.getPeerCertificate(true))
      socket.destroy()
    })
    socket.once('error', refuse)
    socket.once('timeout', () => { refuse(new Error('no answer')) })
    signal.addEventListener('abort', () => { refuse(new Error('interrupted')) }, { once: true })
  })
  signal.throwIfAborted()
  let top = chain
  for (let depth = 0; depth < 10 && top.issuerCertificate.fingerprint256 !== top.fingerprint256; depth++) top = top.issuerCertificate
  const certificate = new X509Certificate(top.raw)
  if (!certificate.ca || !certificate.checkIssued(certificate)) {
    throw new AppError('APPLIANCE_UNTRUSTED', `${url.origin} does not present its CA; copy the CA file from the appliance and name it with --ca`)
  }
  return certificate.toString()
}

/** Fingerprints are written with and without colons, in both cases. */
function plainHex(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase()
}
