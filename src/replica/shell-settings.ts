/** KEY=value files that a shell reads (sysconfig, ifcfg, /etc/default), edited line by line: what is not touched stays byte for byte. Pure. */

const LINE = /^(\s*(?:export\s+)?)([A-Za-z_][A-Za-z0-9_]*)=(.*)$/

/** The value of the last line that sets the key, without quotes and comment; undefined when none does. */
export function settingOf(text: string, key: string): string | undefined {
  let found: string | undefined
  for (const line of text.split('\n')) {
    const match = LINE.exec(line)
    if (match?.[2] === key) found = bare(match[3] ?? '')
  }
  return found
}

/**
 * Lines of keys that `removed` matches go; each key of `set` stands once, where its first line was, or at the end. Values are written in single quotes
 * when they have more than plain characters: they must have no single quote.
 */
export function withSettings(text: string, removed: RegExp | undefined, set: Readonly<Record<string, string>>): string {
  const left = new Map(Object.entries(set))
  const written = new Set<string>()
  const lines = text.split('\n').flatMap(line => {
    const match = LINE.exec(line)
    const [, start = '', key = ''] = match ?? []
    if (match === null) return [line]
    const value = left.get(key)
    if (value !== undefined) {
      left.delete(key)
      written.add(key)
      return [`${start}${key}=${quoted(value)}`]
    }
    return written.has(key) || (removed?.test(key) ?? false) ? [] : [line]
  })
  const added = [...left].map(([key, value]) => `${key}=${quoted(value)}`)
  if (added.length === 0) return lines.join('\n')
  const body = lines.join('\n').replace(/\n+$/, '')
  return `${body}${body === '' ? '' : '\n'}${added.join('\n')}\n`
}

function bare(value: string): string {
  return /^\s*'([^']*)'/.exec(value)?.[1] ?? /^\s*"((?:\\.|[^"\\])*)"/.exec(value)?.[1]?.replace(/\\(.)/g, '$1') ?? value.replace(/\s+#.*$/, '').trim()
}

function quoted(value: string): string {
  return /^[A-Za-z0-9_.:/@%+-]*$/.test(value) ? value : `'${value}'`
}
