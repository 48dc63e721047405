/**
 * Without V8's middle compiler. A mirror of a small system is over in seconds, in which much JavaScript runs a few hundred times: compiling that twice,
 * by Maglev and by Turbofan, costs more than it brings. Measured (npm run bench -- mirror --works root): a Debian root takes 4 % less processor
 * time, 100,000 small files neither more nor less.
 */
import { setFlagsFromString } from 'node:v8'

/** To be called first thing: what is compiled stays as it is. */
export function startWithoutMaglev(): void {
  setFlagsFromString('--no-maglev')
}
