/** Debian packages that a comparison needs and the tests do not. */
import { tool } from '../lab/tool.ts'

/** Installs it where it is not there yet. @param why told with its name. @throws {Error} when it cannot */
export async function needPackage(name: string, why: string, say: (line: string) => void): Promise<void> {
  const { exitCode, stdout } = await tool('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { allowedExitCodes: [1] })
  if (exitCode === 0 && stdout === 'installed') return
  say(`installing the Debian package ${name}, ${why}`)
  await tool('apt-get', ['-q', 'install', '-y', '--no-install-recommends', name], { timeoutMs: 600_000, env: { DEBIAN_FRONTEND: 'noninteractive' } })
}
