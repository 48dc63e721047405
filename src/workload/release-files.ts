/** What distribution it is, from os-release, or from the files that said so before there was one (Red Hat to 6, SUSE to 11, Debian to 6, Ubuntu to 11.04). */
import type { Workload } from '../domain/workload.ts'
import { parseAssignments } from './assignments.ts'
import type { SourceRoot } from './source-root.ts'

export type Release = Pick<Workload['os'], 'id' | 'idLike' | 'versionId' | 'prettyName'>

/** How the first line of such a file begins, and the name of the distribution in os-release; the first that fits. */
const NAMES: readonly (readonly [RegExp, string, readonly string[]])[] = [
  [/^(?:Oracle|Enterprise) Linux /, 'ol', ['rhel', 'fedora']], [/^Red Hat (?:Enterprise )?Linux /, 'rhel', ['fedora']], [/^CentOS /, 'centos', ['rhel', 'fedora']], [/^Scientific Linux /, 'scientific', ['rhel', 'fedora']],
  [/^Amazon Linux /, 'amzn', ['rhel', 'fedora']], [/^Fedora /, 'fedora', []], [/^openSUSE /i, 'opensuse', ['suse']], [/^SUSE Linux Enterprise Desktop /i, 'sled', ['suse']], [/^SUSE Linux Enterprise /i, 'sles', ['suse']],
]
/** Those that are built from another have its file too: theirs come first. */
const RELEASE_FILES = ['/etc/oracle-release', '/etc/enterprise-release', '/etc/redhat-release', '/etc/SuSE-release', '/etc/system-release'] as const
const MAX_NAME_CHARACTERS = 200

/** id '' when nothing says it. */
export async function readRelease(root: SourceRoot): Promise<Release> {
  const told = parseAssignments(await root.firstText(['/etc/os-release', '/usr/lib/os-release']) ?? '')
  const id = told.get('ID') ?? ''
  if (id !== '') return { id, idLike: (told.get('ID_LIKE') ?? '').split(/\s+/).filter(w => w !== ''), versionId: told.get('VERSION_ID') ?? '', prettyName: told.get('PRETTY_NAME') ?? id }
  for (const path of RELEASE_FILES) {
    const found = releaseIn(await root.text(path) ?? '')
    if (found !== undefined) return found
  }
  const lsb = parseAssignments(await root.text('/etc/lsb-release') ?? '')
  const [name, version] = [lsb.get('DISTRIB_ID') ?? '', lsb.get('DISTRIB_RELEASE') ?? '']
  if (/^ubuntu$/i.test(name)) return { id: 'ubuntu', idLike: ['debian'], versionId: version, prettyName: lsb.get('DISTRIB_DESCRIPTION') ?? `Ubuntu ${version}` }
  const debian = (await root.text('/etc/debian_version') ?? '').trim()
  if (debian !== '' && debian.length < MAX_NAME_CHARACTERS) return { id: 'debian', idLike: [], versionId: /^\d+/.exec(debian)?.[0] ?? '', prettyName: `Debian GNU/Linux ${debian}` }
  return { id: '', idLike: [], versionId: '', prettyName: '' }
}

/** What such a file says; SUSE's has the service pack in a line of its own. Pure. */
export function releaseIn(text: string): Release | undefined {
  const line = (text.split('\n', 1)[0] ?? '').trim().slice(0, MAX_NAME_CHARACTERS)
  const known = NAMES.find(([pattern]) => pattern.test(line))
  if (known === undefined) return undefined
  const [, id, idLike] = known
  const number = /(?:release|Server|Desktop|Linux|openSUSE)\s+(\d+(?:[.]\d+)*)/i.exec(line)?.[1] ?? ''
  // older ones than 5 call their minor release an update
  const update = /[(,] ?\w+ Update (\d+)/.exec(line)?.[1] ?? /^PATCHLEVEL\s*=\s*([1-9]\d*)\s*$/m.exec(text)?.[1]
  return { id, idLike: [...idLike], versionId: update === undefined || number.includes('.') ? number : `${number}.${update}`, prettyName: line }
}
