/** Which guest operating system vSphere is told: the nearest one that the API version knows. */

/** From which API version on vSphere knows the guest, newest first; `match` is os.id, `major` the first number of VERSION_ID. */
const GUESTS: readonly { match: readonly string[], guests: readonly { major: number, guestId: string, since: string }[] }[] = [
  { match: ['debian'], guests: [
    { major: 12, guestId: 'debian12_64Guest', since: '8.0.1.0' }, { major: 11, guestId: 'debian11_64Guest', since: '7.0' }, { major: 10, guestId: 'debian10_64Guest', since: '6.5' },
    { major: 9, guestId: 'debian9_64Guest', since: '6.5' }, { major: 8, guestId: 'debian8_64Guest', since: '6.0' }, { major: 7, guestId: 'debian7_64Guest', since: '5.5' },
  ] },
  { match: ['ubuntu'], guests: [{ major: 0, guestId: 'ubuntu64Guest', since: '4.0' }] },
  { match: ['rhel'], guests: [
    { major: 9, guestId: 'rhel9_64Guest', since: '7.0.1.0' }, { major: 8, guestId: 'rhel8_64Guest', since: '6.7' }, { major: 7, guestId: 'rhel7_64Guest', since: '5.5' },
    { major: 6, guestId: 'rhel6_64Guest', since: '4.0' }, { major: 5, guestId: 'rhel5_64Guest', since: '4.0' },
  ] },
  { match: ['centos', 'almalinux', 'rocky'], guests: [
    { major: 9, guestId: 'centos9_64Guest', since: '7.0.1.0' }, { major: 8, guestId: 'centos8_64Guest', since: '6.7' }, { major: 7, guestId: 'centos7_64Guest', since: '6.5' },
    { major: 6, guestId: 'centos6_64Guest', since: '6.5' }, { major: 0, guestId: 'centos64Guest', since: '4.1' },
  ] },
  { match: ['ol'], guests: [
    { major: 9, guestId: 'oracleLinux9_64Guest', since: '7.0.1.0' }, { major: 8, guestId: 'oracleLinux8_64Guest', since: '6.7' }, { major: 7, guestId: 'oracleLinux7_64Guest', since: '6.5' },
    { major: 6, guestId: 'oracleLinux6_64Guest', since: '6.5' }, { major: 0, guestId: 'oracleLinux64Guest', since: '4.1' },
  ] },
  { match: ['sles', 'sled'], guests: [
    { major: 16, guestId: 'sles16_64Guest', since: '7.0.1.0' }, { major: 15, guestId: 'sles15_64Guest', since: '6.7' }, { major: 12, guestId: 'sles12_64Guest', since: '5.5' },
    { major: 11, guestId: 'sles11_64Guest', since: '4.0' }, { major: 10, guestId: 'sles10_64Guest', since: '4.0' },
  ] },
  { match: ['opensuse', 'opensuse-leap', 'opensuse-tumbleweed'], guests: [{ major: 0, guestId: 'opensuse64Guest', since: '5.1' }] },
  { match: ['amzn'], guests: [{ major: 3, guestId: 'amazonlinux3_64Guest', since: '7.0.1.0' }, { major: 2, guestId: 'amazonlinux2_64Guest', since: '6.7' }] },
  { match: ['fedora'], guests: [{ major: 0, guestId: 'fedora64Guest', since: '5.1' }] },
]
const FALLBACK = 'otherLinux64Guest'

/** @param apiVersion of the VMware server, "8.0.2.0" */
export function guestIdFor(os: { id: string, versionId: string }, apiVersion: string): string {
  const major = Number.parseInt(os.versionId, 10)
  const guests = GUESTS.find(g => g.match.includes(os.id))?.guests ?? []
  // a newer release than any known one is most like the newest; an older API knows only older guests
  return guests.find(g => (Number.isNaN(major) || g.major <= major) && !isOlder(apiVersion, g.since))?.guestId ?? FALLBACK
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map(v => v.split('.').map(Number))
  for (let i = 0; i < (b?.length ?? 0); i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
