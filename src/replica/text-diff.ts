/** The lines by which two texts differ, as `diff -U2` would show them, for people to read. Pure. */

const CONTEXT = 2
/** Longer middle parts are shown as wholly replaced. */
const MAX_COMPARED_LINES = 600

/** '' when they are equal; at most `maxCharacters`, cut at a line. */
export function textDiff(before: string, after: string, maxCharacters: number): string {
  if (before === after) return ''
  const [was, is] = [linesOf(before), linesOf(after)]
  let start = 0
  while (start < was.length && start < is.length && was[start] === is[start]) start++
  let end = 0
  while (end < was.length - start && end < is.length - start && was[was.length - 1 - end] === is[is.length - 1 - end]) end++
  const edits = [
    ...was.slice(0, start).map(line => ` ${line}`), ...editsOf(was.slice(start, was.length - end), is.slice(start, is.length - end)), ...was.slice(was.length - end).map(line => ` ${line}`),
  ]
  const near = edits.map((_, i) => edits.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(e => !e.startsWith(' ')))
  const shown: string[] = []
  for (const [i, edit] of edits.entries()) {
    if (near[i] === true) shown.push(edit)
    else if (near[i - 1] === true) shown.push('...')
  }
  if (shown.at(-1) === '...') shown.pop()
  let text = ''
  for (const line of shown) {
    if (text.length + line.length + 1 > maxCharacters - 4) return `${text}...\n`
    text += `${line}\n`
  }
  return text
}

function linesOf(text: string): readonly string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** By the longest common subsequence. */
function editsOf(was: readonly string[], is: readonly string[]): readonly string[] {
  if (was.length > MAX_COMPARED_LINES || is.length > MAX_COMPARED_LINES) return [...was.map(l => `-${l}`), ...is.map(l => `+${l}`)]
  const width = is.length + 1
  const length = new Uint16Array((was.length + 1) * width)
  const at = (i: number, j: number): number => length[i * width + j] ?? 0
  for (let i = was.length - 1; i >= 0; i--) for (let j = is.length - 1; j >= 0; j--) length[i * width + j] = was[i] === is[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const edits: string[] = []
  let [i, j] = [0, 0]
  while (i < was.length || j < is.length) {
    if (i < was.length && j < is.length && was[i] === is[j]) {
      edits.push(` ${was[i] ?? ''}`)
      i++
      j++
    } else if (i < was.length && (j === is.length || at(i + 1, j) >= at(i, j + 1))) {
      edits.push(`-${was[i++] ?? ''}`)
    } else {
      edits.push(`+${is[j++] ?? ''}`)
    }
  }
  return edits
}
