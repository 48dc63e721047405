/** The pattern of a rule taken apart into the steps of a path. `rule.ts` says what patterns mean. Pure. */
import { AppError } from '../errors/app-error.ts'
import { NAME_MAX_BYTES, PATH_MAX_BYTES } from './rel-path.ts'

/** What stands for one byte of a name: itself, any, any number of any, or one of (not of) a set of 256. */
export type Glob = number | 'any' | 'star' | ReadonlySet<number>

/** Any number of steps of a path, none too. */
export const ANY_STEPS = Symbol('**')

/** One step of a pattern: exactly this name (bytes as latin1), a name that globs match, or any number of steps. */
export type PatternStep = string | readonly Glob[] | typeof ANY_STEPS

export interface Pattern {
  /** the first step is one of the root directory; else a path may end with the steps */
  anchored: boolean
  directoriesOnly: boolean
  /** none: the root directory itself */
  steps: readonly PatternStep[]
  hasWildcard: boolean
}

/** Longer patterns can match no path; escapes take four characters for a byte. */
const MAX_PATTERN_BYTES = 4 * PATH_MAX_BYTES
const MAX_STEPS = 128
const SLASH = 0x2f

/** @throws {AppError} RULE_INVALID saying what is wrong */
export function parsePattern(text: string): Pattern {
  const bytes = Buffer.from(text, 'utf8')
  const bad = (why: string): AppError => new AppError('RULE_INVALID', `the pattern ${shown(text)} cannot be used: ${why}`)
  if (bytes.length === 0) throw bad('it is empty')
  if (bytes.length > MAX_PATTERN_BYTES) throw bad(`it has ${String(bytes.length)} bytes, and at most ${String(MAX_PATTERN_BYTES)} are possible`)
  if (!text.isWellFormed()) throw bad('it is no valid Unicode; write bytes as \\xNN')
  const steps = new StepReader(bytes, bad).all()
  const anchored = bytes[0] === SLASH
  if (anchored) steps.shift()
  const directoriesOnly = steps.length > 0 && steps.at(-1)?.length === 0
  if (directoriesOnly) steps.pop()
  if (steps.length === 0 && !anchored) throw bad('it is empty')
  if (steps.length > MAX_STEPS) throw bad(`it has more than ${String(MAX_STEPS)} steps`)
  if (steps.some(step => step.length === 0)) throw bad('it has an empty step')
  const shaped = steps.map(step => shape(step, bad))
  return { anchored, directoriesOnly, steps: shaped, hasWildcard: shaped.some(step => typeof step !== 'string') }
}

function shape(step: readonly Glob[], bad: (why: string) => AppError): PatternStep {
  if (step.length === 2 && step.every(glob => glob === 'star')) return ANY_STEPS
  if (step.every(glob => typeof glob === 'number')) {
    const name = Buffer.from(step).toString('latin1')
    if (name === '.' || name === '..') throw bad(`it has a "${name}" step`)
    if (name.length > NAME_MAX_BYTES) throw bad(`it has a name over ${String(NAME_MAX_BYTES)} bytes`)
    return name
  }
  // neighbouring stars are one
  return step.filter((glob, at) => glob !== 'star' || step[at - 1] !== 'star')
}

class StepReader {
  readonly #bytes: Buffer
  readonly #bad: (why: string) => AppError
  #at = 0

  constructor(bytes: Buffer, bad: (why: string) => AppError) {
    this.#bytes = bytes
    this.#bad = bad
  }

  all(): Glob[][] {
    const steps: Glob[][] = [[]]
    while (this.#at < this.#bytes.length) {
      const byte = this.#bytes[this.#at]
      if (byte === SLASH) {
        this.#at++
        steps.push([])
      } else steps.at(-1)?.push(this.#glob())
    }
    return steps
  }

  #glob(): Glob {
    const byte = this.#next()
    switch (String.fromCharCode(byte)) {
      case '*': return 'star'
      case '?': return 'any'
      case '[': return this.#set()
      case '\\': return this.#escaped()
      default: return this.#plain(byte)
    }
  }

  #next(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw this.#bad('it ends inside a set or behind a backslash')
    return byte
  }

  #plain(byte: number): number {
    if (byte === 0) throw this.#bad('it holds a NUL byte, which no name does')
    return byte
  }

  #escaped(): number {
    const byte = this.#next()
    const sign = String.fromCharCode(byte)
    if (sign === 'x') {
      const digits = this.#bytes.toString('latin1', this.#at, this.#at + 2)
      if (!/^[0-9a-fA-F]{2}$/.test(digits)) throw this.#bad('"\\x" needs two hexadecimal digits')
      this.#at += 2
      const value = Number.parseInt(digits, 16)
      if (value === SLASH) throw this.#bad('a name holds no slash, not as \\x2f either')
      return this.#plain(value)
    }
    if (byte === SLASH || /[0-9A-Za-z]/.test(sign)) throw this.#bad(`"\\${sign}" has no meaning; a backslash is written as "\\\\"`)
    return this.#plain(byte)
  }

  #set(): ReadonlySet<number> {
    let negated = false
    const first = this.#bytes[this.#at]
    if (first === 0x21 || first === 0x5e) {
      negated = true
      this.#at++
    }
    const members = new Set<number>()
    for (let count = 0; ; count++) {
      if (count > 0 && this.#bytes[this.#at] === 0x5d) break
      const low = this.#member()
      let high = low
      if (this.#bytes[this.#at] === 0x2d && this.#bytes[this.#at + 1] !== 0x5d) {
        this.#at++
        high = this.#member()
        if (high < low) throw this.#bad('a range of a set runs backwards')
      }
      for (let byte = low; byte <= high; byte++) members.add(byte)
    }
    this.#at++
    if (!negated) return members
    return new Set(Array.from({ length: 255 }, (_, i) => i + 1).filter(byte => byte !== SLASH && !members.has(byte)))
  }

  #member(): number {
    const byte = this.#next()
    if (byte === SLASH) throw this.#bad('a set that is not closed, or holds a slash')
    if (byte === 0x5c) return this.#escaped()
    if (byte > 0x7f) throw this.#bad('a set matches one byte, and this character has several; write bytes as \\xNN')
    return this.#plain(byte)
  }
}

/** The pattern for people; long ones shortened. */
function shown(text: string): string {
  const short = text.length > 100 ? `${text.slice(0, 100)}...` : text
  return `"${short.replace(/[\u0000-\u001f\u007f-\u009f]/g, sign => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`
}

/** Whether a name (bytes as latin1) is matched; at most name length times pattern length comparisons. */
export function matchesName(globs: readonly Glob[], name: string): boolean {
  let glob = 0
  let at = 0
  // where the last star stood, and from where on it has not taken bytes yet
  let star = -1
  let from = 0
  while (at < name.length) {
    const wanted = globs[glob]
    if (wanted === 'star') {
      star = glob++
      from = at
    } else if (wanted !== undefined && matchesByte(wanted, name.charCodeAt(at))) {
      glob++
      at++
    } else if (star >= 0) {
      // the last star takes one byte more; an earlier one need not be tried again
      glob = star + 1
      at = ++from
    } else return false
  }
  while (globs[glob] === 'star') glob++
  return glob === globs.length
}

function matchesByte(glob: number | 'any' | ReadonlySet<number>, byte: number): boolean {
  if (typeof glob === 'number') return glob === byte
  return glob === 'any' || glob.has(byte)
}
