/** Where the lab keeps its things: all of it below .lab/ of the project, nothing elsewhere. */
import { fileURLToPath } from 'node:url'

const inProject = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

export const PROJECT = inProject('.').replace(/\/$/, '')
/** built images, keyed by what they are made of; CI may keep this folder between runs */
export const CACHE = inProject('.lab/cache')
/** one folder per running lab; what is here without a living owner is swept */
export const RUNS = inProject('.lab/run')
export const GOVC = inProject('.lab/bin/govc')
export const VCSIM = inProject('.lab/bin/vcsim')
/** Node 24, the one that npm installed */
export const NODE = process.execPath
/** the independent judge of equality lives beside the project; may be missing */
export const TREECMP = inProject('../shared/tools/treecmp')
export const APPLIANCE = inProject('src/bin/appliance.ts')
export const AGENT = inProject('src/bin/agent.ts')
export const CLI = inProject('src/bin/cli.ts')
export const WRITER = inProject('test/lab/writer.py')
export const IMAGE_SCRIPTS = inProject('test/lab/image')
