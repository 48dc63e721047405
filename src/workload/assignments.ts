/** Files of assignments: os-release(5), lsb-release, sysconfig. */

/** KEY=value lines of os-release(5) and sysconfig files; quotes and backslashes as a shell takes them. */
export function parseAssignments(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) continue
    const value = /^'([^']*)'/.exec(match[2])?.[1] ?? (/^"((?:\\.|[^"\\])*)"/.exec(match[2])?.[1] ?? match[2].replace(/\s.*$/, '')).replace(/\\(.)/g, '$1')
    found.set(match[1], value)
  }
  return found
}
