/** How results look: tables and figures for people, JSON for machines. Pure but for `printJson`. */
import type { Terminal } from './terminal.ts'

export type Colour = 'red' | 'yellow' | 'green' | 'bold' | 'dim'

const CODES: Readonly<Record<Colour, number>> = { red: 31, yellow: 33, green: 32, bold: 1, dim: 2 }
const RESET = '\u001b[0m'

/** Text in a colour, where colours are wanted. */
export function paint(text: string, colour: Colour | undefined, colours: boolean): string {
  return colour === undefined || !colours ? text : `\u001b[${String(CODES[colour])}m${text}${RESET}`
}

/** Names and messages come from other machines: control characters must not reach a terminal. Newlines become blanks. */
export function clean(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?')
}

export interface Cell { text: string, colour?: Colour }

/** Columns as wide as their widest cell, two blanks between, no blanks at line ends. Only a heading when there is no row. */
export function table(headings: readonly string[], rows: readonly (readonly (string | Cell)[])[], colours = false): string {
  const cells = [headings.map((text): Cell => ({ text, colour: 'bold' })), ...rows.map(row => row.map((c): Cell => typeof c === 'string' ? { text: c } : c))]
    .map(row => row.map(c => ({ ...c, text: clean(c.text) })))
  const widths = headings.map((_, i) => Math.max(...cells.map(row => row[i]?.text.length ?? 0)))
  return cells.map(row => row.map((c, i) => {
    const last = row.slice(i + 1).every(next => next.text === '')
    return paint(c.text, c.colour, colours) + (last ? '' : ' '.repeat((widths[i] ?? 0) - c.text.length))
  }).join('  ').trimEnd()).join('\n') + '\n'
}

/** "Name:  value" lines; values that are undefined or empty are left out. */
export function fields(entries: readonly (readonly [string, string | undefined])[]): string {
  const shown = entries.filter((e): e is [string, string] => e[1] !== undefined && e[1] !== '')
  const width = Math.max(0, ...shown.map(([name]) => name.length + 1))
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width)}  ${clean(value)}\n`).join('')
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** Powers of 1024, three significant digits. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ''}`
}

/** 850 ms, 12 s, 3 min 05 s, 2 h 07 min, 3 d 4 h. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${String(Math.round(ms))} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${String(seconds)} s`
  const two = (n: number): string => String(n).padStart(2, '0')
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} min ${two(seconds % 60)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 24 * 60) return `${String(Math.floor(minutes / 60))} h ${two(minutes % 60)} min`
  return `${String(Math.floor(minutes / 1440))} d ${String(Math.floor((minutes % 1440) / 60))} h`
}

/** A time of the API ("2026-01-02T03:04:05.678Z") as people read it, in UTC. */
export function formatTime(utc: string | undefined): string {
  return utc === undefined ? '' : utc.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*$/, '$1 $2 UTC')
}

/** The colour of a severity or health. */
export function severityColour(severity: 'ok' | 'warning' | 'error' | 'unknown'): Colour | undefined {
  switch (severity) {
    case 'ok': return 'green'
    case 'warning': return 'yellow'
    case 'error': return 'red'
    case 'unknown': return undefined
  }
}

/** A name as it is typed into a shell. Job names hold nothing but letters, digits, dots, dashes, underscores and blanks. */
export function asArgument(name: string): string {
  return /\s/.test(name) ? `"${name}"` : name
}
