/** Servers that the appliance knows: sources (through their agent) and VMware servers. Records of the store and bodies of the API. */
import { z } from 'zod'

export const ServerName = z.string().min(1).max(80).regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dot, dash and underscore, starting with a letter or digit')

export const SourceRecord = z.object({
  version: z.literal(1), id: z.string(), name: ServerName,
  status: z.enum(['awaiting-enrolment', 'connected', 'disconnected']),
  agentVersion: z.string().optional(), hostName: z.string().optional(), osName: z.string().optional(),
  enrolledAtUtc: z.string().optional(), lastSeenAtUtc: z.string().optional(), createdAtUtc: z.string(),
})
export type SourceRecord = z.infer<typeof SourceRecord>

export const AddSource = z.object({ name: ServerName, tokenValidMs: z.number().int().min(1000).max(7 * 86400_000).default(3600_000) })
export type AddSource = z.infer<typeof AddSource>

/** The answer to AddSource: shown once. */
export const EnrolmentOffer = z.object({ source: SourceRecord, token: z.string(), caSha256: z.string(), command: z.string(), expiresAtUtc: z.string() })
export type EnrolmentOffer = z.infer<typeof EnrolmentOffer>

/** What an agent sends to enrol: the token and a PKCS#10 request in PEM. Answer: its certificate and the CA's, in PEM, and its id. */
export const Enrol = z.object({ token: z.string().min(20).max(200), csr: z.string().max(8192), agentVersion: z.string().max(40), protocolVersion: z.number().int() })
export type Enrol = z.infer<typeof Enrol>
export const Enrolled = z.object({ sourceId: z.string(), certificate: z.string(), ca: z.string(), replicationPort: z.number().int() })
export type Enrolled = z.infer<typeof Enrolled>

export const VmwareRecord = z.object({
  version: z.literal(1), id: z.string(), name: ServerName, host: z.string(), port: z.number().int(), user: z.string(),
  /** SHA-256 of the accepted certificate, upper-case hex pairs with colons; '' = verified by the system's CAs */
  thumbprint: z.string(), product: z.string(), apiVersion: z.string(), createdAtUtc: z.string(),
})
export type VmwareRecord = z.infer<typeof VmwareRecord>

export const AddVmware = z.object({
  name: ServerName, host: z.string().min(1).max(253), port: z.number().int().min(1).max(65535).default(443),
  user: z.string().min(1).max(256), password: z.string().min(1).max(256), acceptThumbprint: z.string().max(100).optional(),
})
export type AddVmware = z.infer<typeof AddVmware>

/** Body of every error answer (RFC 9457) plus our code and what to do. */
export const Problem = z.object({ type: z.string(), title: z.string(), status: z.number(), detail: z.string(), code: z.string(), operator: z.string(), retryable: z.boolean() })
export type Problem = z.infer<typeof Problem>
