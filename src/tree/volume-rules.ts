/**
 * The rules of a job compiled for one volume: which of its names belong to the replica. What rules mean is told in `domain/rule.ts`. Pure;
 * a name costs the rules that can still match at its directory, each in time proportional to its pattern.
 */
import { parentOf, type RelPath } from '../domain/rel-path.ts'
import type { Rule } from '../domain/rule.ts'
import { ANY_STEPS, matchesName, parsePattern, type Pattern, type PatternStep } from '../domain/rule-pattern.ts'

/**
 * inside: it belongs to the replica. way: a directory that does because of what may be below it. excluded: an exclude rule covers it.
 * unmatched: no include rule does.
 */
export type Place = 'inside' | 'way' | 'excluded' | 'unmatched'

/** How much of what is below a directory belongs to the replica; `some` when it must be looked at name by name. */
export type Reach = 'all' | 'some' | 'none'

/** The rules as seen from one directory of the volume. */
export interface DirectoryRules {
  readonly reach: Reach
  /** on the replica, something at any depth below it may have to be left alone */
  readonly guards: boolean
  place: (name: Buffer, isDirectory: boolean) => Place
}

export interface VolumeRules {
  /** everything belongs to the replica */
  readonly all: boolean
  at: (directory: RelPath) => DirectoryRules
  /** The root of the volume is always `inside` or `way`. */
  placeOf: (path: RelPath, isDirectory: boolean) => Place
  /** Whether what has this place, on the replica, must be left alone: it is neither part of the replica nor an orphan. */
  leavesAlone: (place: Place) => boolean
}

/** What one rule is at a directory: the positions in its steps that paths below may go on from. */
interface Alive { rule: Compiled, positions: readonly number[] }
interface Compiled { exclude: boolean, recursive: boolean, directoriesOnly: boolean, steps: readonly PatternStep[] }

/** A directory as the rules see it. */
interface State {
  /** covered by a recursive rule of that kind, with all that is below */
  included: boolean
  excluded: boolean
  /** covered by a rule that is not recursive: its files are */
  filesIncluded: boolean
  filesExcluded: boolean
  alive: readonly Alive[]
}

interface Found extends State { place: Place }

/** Directories whose state is remembered; past it the memory starts afresh. */
const MAX_REMEMBERED = 20_000

/**
 * @param at the volume's mount point as absolute path, by which anchored rules name it
 * @param ways paths of the volume that stay whatever the rules say, because other volumes of the job are mounted there
 * @throws {AppError} RULE_INVALID
 */
export function compileRules(rules: readonly Rule[], at = '/', ways: readonly RelPath[] = []): VolumeRules {
  if (rules.length === 0) return EVERYTHING
  const compiled = new CompiledRules(rules, at, ways)
  return compiled.areElsewhere ? EVERYTHING : compiled
}

const ALL_INSIDE: DirectoryRules = { reach: 'all', guards: false, place: () => 'inside' }

/** No rules. */
export const EVERYTHING: VolumeRules = { all: true, at: () => ALL_INSIDE, placeOf: () => 'inside', leavesAlone: () => false }

class CompiledRules implements VolumeRules {
  readonly all = false
  readonly #hasIncludes: boolean
  /** the includes describe all that the replica is to hold */
  readonly #complete: boolean
  readonly #ways: ReadonlySet<string>
  readonly #root: State
  readonly #states = new Map<string, State>()

  constructor(rules: readonly Rule[], at: string, ways: readonly RelPath[]) {
    const patterns = rules.map(rule => ({ rule, pattern: parsePattern(rule.pattern) }))
    this.#hasIncludes = rules.some(rule => rule.kind === 'include')
    this.#complete = patterns.some(({ rule, pattern }) => rule.kind === 'include' && pattern.hasWildcard)
    this.#ways = new Set(ways.flatMap(withParents))
    const alive = patterns.map(({ rule, pattern }): Alive => ({ rule: compiled(rule, pattern), positions: [0] }))
    let state = settled({ included: false, excluded: false, filesIncluded: false, filesExcluded: false, alive: [] }, alive.map(one => ({ ...one, positions: closed(one.rule.steps, [0]) })), true)
    for (const step of at.split('/')) if (step !== '') state = advanced(state, Buffer.from(step).toString('latin1'), true)
    this.#root = state
  }

  /** no rule has anything to do with this volume */
  get areElsewhere(): boolean {
    const { excluded, filesExcluded, alive } = this.#root
    return !this.#hasIncludes && !excluded && !filesExcluded && alive.length === 0
  }

  at(directory: RelPath): DirectoryRules {
    const at = directory.toString('latin1')
    const state = this.#state(at)
    const prefix = at === '' ? '' : `${at}/`
    return {
      reach: this.#reach(state, prefix), guards: this.#guards(state),
      place: (name, isDirectory) => {
        const key = name.toString('latin1')
        return this.#place(advanced(state, key, isDirectory), prefix + key, isDirectory)
      },
    }
  }

  placeOf(path: RelPath, isDirectory: boolean): Place {
    if (path.length === 0) return this.#root.included ? 'inside' : 'way'
    const key = path.toString('latin1')
    const slash = key.lastIndexOf('/')
    const state = this.#state(key.slice(0, Math.max(0, slash)))
    return this.#isAllInside(state) ? 'inside' : this.#place(advanced(state, key.slice(slash + 1), isDirectory), key, isDirectory)
  }

  leavesAlone(place: Place): boolean {
    return place === 'excluded' || (place === 'unmatched' && !this.#complete)
  }

  #place(found: Found, key: string, isDirectory: boolean): Place {
    const isWay = isDirectory && this.#ways.has(key)
    if (found.place === 'excluded') return isWay ? 'way' : 'excluded'
    if (found.place === 'inside' || !this.#hasIncludes) return 'inside'
    return isDirectory && (isWay || this.#reach(found, `${key}/`) !== 'none') ? 'way' : 'unmatched'
  }

  /** Whatever is in the directory is inside: no rule looks at its name. */
  #isAllInside({ included, excluded, filesExcluded, alive }: State): boolean {
    return alive.length === 0 && !excluded && !filesExcluded && (included || !this.#hasIncludes)
  }

  #reach(state: State, prefix: string): Reach {
    if (this.#isAllInside(state)) return 'all'
    const some = this.#hasWaysBelow(prefix) ? 'some' : 'none'
    if (state.excluded) return some
    const included = !this.#hasIncludes || state.included
    if (!included && !state.filesIncluded && !state.alive.some(({ rule }) => !rule.exclude)) return some
    return 'some'
  }

  #guards(state: State): boolean {
    if (state.excluded || state.filesExcluded || state.alive.some(({ rule }) => rule.exclude)) return true
    return this.#hasIncludes && !this.#complete && !state.included
  }

  #hasWaysBelow(prefix: string): boolean {
    for (const way of this.#ways) if (way.startsWith(prefix)) return true
    return false
  }

  /** @param key of the directory, empty for the root */
  #state(key: string): State {
    if (key === '') return this.#root
    const known = this.#states.get(key)
    if (known !== undefined) return known
    const slash = key.lastIndexOf('/')
    const state = advanced(this.#state(key.slice(0, Math.max(0, slash))), key.slice(slash + 1), true)
    if (this.#states.size >= MAX_REMEMBERED) this.#states.clear()
    this.#states.set(key, state)
    return state
  }
}

function compiled(rule: Rule, { anchored, directoriesOnly, steps }: Pattern): Compiled {
  return { exclude: rule.kind === 'exclude', recursive: rule.recursive, directoriesOnly, steps: anchored ? steps : [ANY_STEPS, ...steps] }
}

/** The path itself and all above it, as keys. */
function withParents(path: RelPath): string[] {
  const keys: string[] = []
  for (let at = path; at.length > 0; at = parentOf(at)) keys.push(at.toString('latin1'))
  return keys
}

/** The entry of this name (bytes as latin1) in a directory. */
function advanced(parent: State, name: string, isDirectory: boolean): Found {
  const alive: Alive[] = []
  for (const { rule, positions } of parent.alive) {
    const next: number[] = []
    for (const position of positions) {
      const step = rule.steps[position]
      if (step === ANY_STEPS) next.push(position)
      else if (typeof step === 'string' ? step === name : step !== undefined && matchesName(step, name)) next.push(position + 1)
    }
    if (next.length > 0) alive.push({ rule, positions: closed(rule.steps, next) })
  }
  return settled(parent, alive, isDirectory)
}

/** The positions, and those that are reached without a step. In order, each once. */
function closed(steps: readonly PatternStep[], positions: readonly number[]): readonly number[] {
  const all = new Set<number>()
  for (const position of positions) {
    all.add(position)
    for (let at = position; steps[at] === ANY_STEPS; at++) all.add(at + 1)
  }
  return [...all].sort((a, b) => a - b)
}

/** What the matches of an entry make of it, below a parent of which it may have inherited something. */
function settled(parent: State, matched: readonly Alive[], isDirectory: boolean): Found {
  let { included, excluded } = parent
  let filesIncluded = false
  let filesExcluded = false
  let own = included || (!isDirectory && parent.filesIncluded)
  let out = excluded || (!isDirectory && parent.filesExcluded)
  for (const { rule, positions } of matched) {
    if (positions.at(-1) !== rule.steps.length || (rule.directoriesOnly && !isDirectory)) continue
    if (rule.exclude) {
      if (rule.recursive) excluded = true
      else filesExcluded = true
      out ||= rule.recursive || !isDirectory
    } else {
      if (rule.recursive) included = true
      else filesIncluded = true
      own = true
    }
  }
  const alive = matched.filter(({ rule, positions }) => !excluded && !(included && !rule.exclude) && positions.some(position => position < rule.steps.length))
  return { included, excluded, filesIncluded, filesExcluded, alive, place: out ? 'excluded' : own ? 'inside' : 'unmatched' }
}
