/** What the exit codes of `landfall` mean; `errors/codes.ts` says which error has which. */
export const EXIT_CODES = {
  0: 'done',
  1: 'unexpected error',
  2: 'wrong use: an option, a value or a file',
  3: 'not found',
  4: 'refused in this state',
  5: 'not allowed, or not trusted',
  6: 'unreachable, or no answer in time',
  7: 'the data could not be copied or did not fit',
  8: 'the VMware server refused',
  130: 'interrupted',
} as const satisfies Record<number, string>

/** The part of every help text that lists them. */
export function exitCodeHelp(): string {
  return ['', 'Exit codes:', ...Object.entries(EXIT_CODES).map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`)].join('\n')
}
