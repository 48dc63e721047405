/** Decides whether a VMware server that a user adds is the one they mean. */
import type { VmwareIdentity } from '../api/targets.ts'
import type { AddVmware } from '../domain/server.ts'
import { AppError } from '../errors/app-error.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'

/** What a server's certificate is found to be. */
export interface ShownCertificate { subject: string, thumbprint: string, verified: boolean, reason: string }

export interface ProbeParts {
  showCertificate: (host: string, port: number, signal: AbortSignal) => Promise<ShownCertificate>
  /** A thumbprint as typed, in the form of `ShownCertificate`. */
  normalThumbprint: (typed: string) => string
  /** Logs in; the caller disposes of it. */
  login: (server: AddVmware, thumbprint: string, signal: AbortSignal) => Promise<Hypervisor>
}

/** @throws {AppError} CERTIFICATE_UNTRUSTED with what to compare, VSPHERE_LOGIN, VSPHERE_UNREACHABLE, VSPHERE_NOT_FOUND when the appliance's VM is not there */
export async function probeVmware({ showCertificate, normalThumbprint, login }: ProbeParts, server: AddVmware, signal: AbortSignal): Promise<VmwareIdentity> {
  const shown = await showCertificate(server.host, server.port, signal)
  const accepted = server.acceptThumbprint === undefined ? '' : normalThumbprint(server.acceptThumbprint)
  const where = `${server.host}:${String(server.port)}`
  if (accepted !== '' && accepted !== shown.thumbprint) {
    throw new AppError('CERTIFICATE_UNTRUSTED', `the certificate of ${where} is not the accepted one: subject ${shown.subject}, SHA-256 thumbprint ${shown.thumbprint}`)
  }
  if (accepted === '' && !shown.verified) {
    throw new AppError('CERTIFICATE_UNTRUSTED', `the certificate of ${where} does not verify (${shown.reason}): subject ${shown.subject}, SHA-256 thumbprint ${shown.thumbprint}`)
  }
  // an accepted certificate is pinned even if it verifies: the user asked for this one
  await using hypervisor = await login(server, accepted, signal)
  const { product, apiVersion } = await hypervisor.places(signal)
  return { thumbprint: accepted, product, apiVersion }
}
