import axios from 'axios'
import { AppError } from '../errors/app-error.ts'
import type { CallOptions, VsphereSession } from './vsphere-session.ts'

const TIMEOUT_MS = 30_000

/**
 * What the server offers beside its API at this path, in whole; undefined when it has nothing there. It knows no login but the session's cookie: the
 * caller has just had an answer of the API, which has renewed a session that was over.
 * @throws {AppError} VSPHERE_FAULT, also when it is longer than `maxBytes`
 */
export async function download(session: VsphereSession, path: string, { signal, doing, timeoutMs = TIMEOUT_MS, maxBytes }: CallOptions & { readonly maxBytes: number }): Promise<Buffer | undefined> {
  const { url, cookie, agent } = session.site
  try {
    const answer = await axios.get<Buffer>(`${url}${path}`, {
      httpsAgent: agent, proxy: false, maxRedirects: 0, maxContentLength: maxBytes, responseType: 'arraybuffer', headers: { Cookie: cookie },
      validateStatus: status => status === 200 || status === 404, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    return answer.status === 404 ? undefined : answer.data
  } catch (error) {
    signal.throwIfAborted()
    // axios's error holds the request with the session's cookie.
    throw new AppError('VSPHERE_FAULT', `cannot ${doing}: ${error instanceof Error ? error.message : 'no answer'}`)
  }
}
