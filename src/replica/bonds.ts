/** What bonds and teams need to work behind a port group, in the words of every network stack. Pure. */

const TEAM_RUNNER = /(\\?["']name\\?["']\s*:\s*\\?["']|^\s*(?:TEAM_RUNNER|runner)\s*=\s*["']?)lacp\b/

/**
 * Bonds that speak LACP (802.3ad, mode 4) become active-backup: a port group passes no LACP, and such a bond would have no link. In the words of
 * ifcfg, ifupdown, modprobe, keyfiles, networkd and netplan; options that only LACP has go where they would be refused. Teams likewise: the runner "lacp" becomes
 * "activebackup", in teamd's JSON (also as a quoted value), keyfiles and SUSE's ifcfg; teamd passes over options that another runner had.
 */
export function withoutLacp(text: string): string {
  return eachLine(text, (line, section) => {
    if (/^\s*#/.test(line)) return [line]
    if (/^\s*(?:bond[-_])?lacp[-_](?:rate|active)\b|^\s*LACPTransmitRate\s*=|^\s*(?:bond[-_])?ad[-_](?:select|actor[-_]\w+|user[-_]port[-_]key)\b|^\s*AdSelect\s*=/.test(line)) return lacpOptionOnly(line)
    if (TEAM_RUNNER.test(line)) return [line.replace(TEAM_RUNNER, '$1activebackup')]
    // other devices have modes, too: of a macvlan 4 is "passthru"
    if (section !== undefined && section.toLowerCase() !== 'bond') return [line]
    return [line.replace(/(\b(?:bond[-_])?mode\s*[=: ]\s*["']?)(?:802\.3ad|4)(?![\w.])/i, '$1active-backup').replace(/[\s,]+(?:lacp_rate|ad_select)=\w+/g, '')]
  })
}

/** Each line becomes those that `become` gives for it. `section`: "[...]" that it stands under, in files that have such. */
function eachLine(text: string, become: (line: string, section: string | undefined) => readonly string[]): string {
  let section: string | undefined
  return text.split('\n').flatMap(line => {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section
    return become(line, section)
  }).join('\n')
}

/** A line of its own for an option of LACP goes, unless it is a line that begins a bond's other options. */
function lacpOptionOnly(line: string): readonly string[] {
  return line.trim().split(/\s+/).length <= 3 ? [] : [line]
}

/** Modes in which a bond sends under addresses that are not the sending adapter's own, however it is set up. */
const SHARED_MODE = /\b(?:bond[-_])?mode["']?\s*[=: ]\s*["']?(balance-(?:rr|xor|tlb|alb)|broadcast)\b/i
/** Teams likewise; SUSE's ifcfg has no word for whose address an active-backup team uses. */
const SHARED_RUNNERS = [/\\?["']name\\?["']\s*:\s*\\?["'](loadbalance|roundrobin|broadcast|random)\b/, /^\s*runner\s*=\s*(loadbalance|roundrobin|broadcast|random)\b/, /^\s*TEAM_RUNNER\s*=\s*["']?(\w+)/]

/** The mode of a bond, or the runner of a team, for which the port group has to accept changed MAC addresses and forged transmits; undefined where there is none. */
export function needsForgedTransmits(text: string): string | undefined {
  return text.split('\n').filter(line => !/^\s*#/.test(line)).map(line => [SHARED_MODE, ...SHARED_RUNNERS].map(words => words.exec(line)?.[1]).find(mode => mode !== undefined)).find(mode => mode !== undefined)
}

/** Where a bond is told its mode. The name of the option that follows it is the stack's own. */
const MODES: readonly { line: RegExp, section?: string, own: (indentation: string) => string }[] = [
  { line: /^(\s*)Mode\s*=\s*active-backup\s*$/, section: 'Bond', own: () => 'FailOverMACPolicy=active' },
  { line: /^(\s*)mode\s*=\s*(?:active-backup|1)\s*$/, section: 'bond', own: () => 'fail_over_mac=active' },
  { line: /^(\s*)runner\s*=\s*activebackup\s*$/, section: 'team', own: () => 'runner-hwaddr-policy=by_active' },
  { line: /^(\s+)bond[-_]mode\s+(?:active-backup|1)\s*$/, own: indentation => `${indentation}bond-fail-over-mac active` },
  { line: /^(\s+)mode:\s*["']?active-backup["']?\s*$/, own: indentation => `${indentation}fail-over-mac-policy: active` },
]
const INLINE_MODE = /^(\s*(?:export\s+)?BONDING(?:_MODULE)?_OPTS\s*=.*?|\s*options\s+bond\S*\s(?:.*?\s)?)(\bmode=(?:active-backup|1))(?![\w.-])/
/** teamd's JSON, also as a value in quotes */
const TEAM_MODE = /((\\?["'])name\2\s*:\s*\2activebackup\2)/
const FLOW_MODE = /(\{[^{}]*\bmode:\s*["']?active-backup["']?)/

/**
 * An active-backup bond (or team) uses the address of the adapter that is active, instead of giving all of them one: a port group whose security policy rejects changed addresses
 * (the default of distributed switches) would drop what is sent under another than the adapter's own. A file that says something about it keeps that.
 */
export function withOwnAddresses(text: string): string {
  if (/fail[-_]?over[-_]?mac|hwaddr[-_]policy/i.test(text)) return text
  return eachLine(text, (line, section) => {
    const mode = MODES.find(({ line: pattern, section: of }) => pattern.test(line) && (of === undefined || of === section))
    if (mode !== undefined) return [line, mode.own(mode.line.exec(line)?.[1] ?? '')]
    return [line.replace(INLINE_MODE, '$1$2 fail_over_mac=1').replace(FLOW_MODE, '$1, fail-over-mac-policy: active').replace(TEAM_MODE, '$1, $2hwaddr_policy$2: $2by_active$2')]
  })
}
