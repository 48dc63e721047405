/** Files of [sections] with key=value lines (NetworkManager keyfiles, networkd), edited line by line. Pure. */

export interface Section {
  /** '' for what stands before the first section */
  name: string
  /** the lines below its head, comments and blanks too */
  lines: readonly string[]
}

export function parseSections(text: string): readonly Section[] {
  const sections: { name: string, lines: string[] }[] = [{ name: '', lines: [] }]
  for (const line of text.split('\n')) {
    const name = /^\s*\[([^\]]+)\]\s*$/.exec(line)?.[1]
    if (name !== undefined) sections.push({ name, lines: [] })
    else sections.at(-1)?.lines.push(line)
  }
  return sections
}

export function joinSections(sections: readonly Section[]): string {
  return sections.map(({ name, lines }, i) => [...(i === 0 && name === '' ? [] : [`[${name}]`]), ...lines].join('\n')).filter((part, i) => i > 0 || part !== '').join('\n')
}

/** Values of the key in the sections of that name, in order; comments do not count. */
export function valuesOf(sections: readonly Section[], name: string, key: string): readonly string[] {
  return sections.filter(s => s.name === name).flatMap(s => s.lines.flatMap(line => {
    const match = /^\s*([^=#;\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line)
    return match?.[1] === key ? [match[2] ?? ''] : []
  }))
}

/** The section without the lines whose key matches, and with `added` lines before the blank lines at its end. */
export function editSection(section: Section, removed: RegExp, added: readonly string[]): Section {
  const kept = section.lines.filter(line => {
    const key = /^\s*([^=#;\s][^=]*?)\s*=/.exec(line)?.[1]
    return key === undefined || !removed.test(key)
  })
  let end = kept.length
  while (end > 0 && kept[end - 1]?.trim() === '') end--
  return { name: section.name, lines: [...kept.slice(0, end), ...added, ...kept.slice(end)] }
}

/** The sections with the first one of that name edited; one that is missing is made at the end. */
export function editNamed(sections: readonly Section[], name: string, removed: RegExp, added: readonly string[]): readonly Section[] {
  const at = sections.findIndex(s => s.name === name)
  if (at >= 0) return sections.map((s, i) => (i === at ? editSection(s, removed, added) : s))
  if (added.length === 0) return sections
  const last = sections.at(-1)
  const before = last === undefined ? [] : [...sections.slice(0, -1), { name: last.name, lines: [...trimmed(last.lines), ''] }]
  return [...before, { name, lines: [...added, ''] }]
}

function trimmed(lines: readonly string[]): readonly string[] {
  let end = lines.length
  while (end > 0 && lines[end - 1]?.trim() === '') end--
  return lines.slice(0, end)
}
