/** Whether the appliance answers, and which one it is. */
import { Health } from '../domain/api.ts'
import { PROTOCOL_VERSION } from '../wire/messages.ts'
import { endpoint, type Endpoint } from './endpoint.ts'

export function healthEndpoints({ version, startedAtUtc }: { version: string, startedAtUtc: string }): Endpoint[] {
  return [
    endpoint({ id: 'health', method: 'get', path: '/health', summary: 'Whether the appliance answers', access: 'public', status: 200, answer: Health },
      async () => ({ status: 'ok', version, protocolVersion: PROTOCOL_VERSION, startedAtUtc })),
  ]
}
