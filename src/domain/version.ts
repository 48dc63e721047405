/** The version of the product, from the package that it is part of. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const Package = z.object({ version: z.string() })

/** package.json lies two folders up, in the sources as in `dist`. */
export const VERSION: string = Package.parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))).version
