/**
 * The program of the first-boot unit: POSIX shell, because the replica may have nothing else. It waits (bounded) for the system and its
 * network, runs the user's script, reports what it saw as one JSON object (BootProof), and removes itself.
 */
import type { Script } from '../domain/job.ts'

export interface FirstBoot {
  /** directory of ours on the replica, without blanks; `tell` in it tells the host where VMware's tools do not */
  directory: string
  unit: string
  /** whether the replica has a network adapter: then an address is waited for */
  waitForAddress: boolean
  script: Script | undefined
  /** files that go with the program when it is done, without blanks */
  remove?: readonly string[]
}

const SYSTEM_WAIT_S = 180
const ADDRESS_WAIT_S = 60
const SCRIPT_KILL_S = 10
/** As long as the appliance waits. */
const TELL_TRIES = 90
const TELL_PAUSE_S = 10
/** BootProof.console */
const CONSOLE_BYTES = 4096
const CONSOLE_LINES = 25
/** BootProof.scriptOutput */
const SCRIPT_OUTPUT_BYTES = 4096

/** One POSIX shell word that means exactly `text`. */
export function shellWord(text: string): string {
  return `'${text.replaceAll('\'', '\'\\\'\'')}'`
}

/**
 * Bytes on standard input as the inside of a JSON string, pure ASCII: control characters, quotes and all beyond ASCII as \uXXXX, bytes that are
 * no UTF-8 as U+FFFD. od and awk are on every system that boots; mawk, gawk and busybox awk agree on what is used here.
 */
const JSON_TEXT = `json_text() {
  LC_ALL=C od -An -v -tu1 | LC_ALL=C awk '
    function unit(c) { printf "\\\\u%04x", c }
    function point(c) { if (c < 65536) unit(c); else { c -= 65536; unit(55296 + int(c / 1024)); unit(56320 + c % 1024) } }
    function broken() { if (need > 0) { unit(65533); need = 0 } }
    BEGIN { need = 0 }
    { for (i = 1; i <= NF; i++) {
        b = $i + 0
        if (need > 0) {
          if (b >= 128 && b < 192 && b >= low && b <= high) { c = c * 64 + b - 128; low = 128; high = 191; if (--need == 0) point(c); continue }
          broken()
        }
        if (b == 34 || b == 92) printf "\\\\%c", b
        else if (b < 32 || b == 127) unit(b)
        else if (b < 128) printf "%c", b
        else if (b >= 194 && b < 224) { need = 1; c = b - 192; low = 128; high = 191 }
        else if (b >= 224 && b < 240) { need = 2; c = b - 224; low = (b == 224) ? 160 : 128; high = (b == 237) ? 159 : 191 }
        else if (b >= 240 && b < 245) { need = 3; c = b - 240; low = (b == 240) ? 144 : 128; high = (b == 244) ? 143 : 191 }
        else unit(65533)
      } }
    END { broken() }'
}`

/** The text of the program. */
export function firstBootProgram({ directory, unit, waitForAddress, script, remove = [] }: FirstBoot): string {
  return `#!/bin/sh
# Made by the migration. Reports the first boot of this server on its new hardware, then removes itself.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
cd /

${JSON_TEXT}

json_string() { printf '"'; printf '%s' "$1" | json_text; printf '"'; }

# one JSON string per line of standard input
json_array() {
  first=1
  printf '['
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    [ $first = 1 ] || printf ','
    first=0
    json_string "$line"
  done
  printf ']'
}

addresses() {
  if command -v ip >/dev/null 2>&1; then ip -o addr show scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print $4 }'
  else hostname -I 2>/dev/null | tr ' ' '\\n'; fi
}

# who knows the source's addresses by its MAC addresses learns the new ones from the broadcast that asks for the gateway
announce() {
  command -v ip >/dev/null 2>&1 && command -v ping >/dev/null 2>&1 || return
  ip -4 route show default 2>/dev/null | awk '$1 == "default" && $2 == "via" { print $3 }' | sort -u | while IFS= read -r gateway; do ping -c 1 -W 1 "$gateway" >/dev/null 2>&1 </dev/null; done
}

# the screen as it is now: rows of as many characters as its header says
console_text() {
  columns=$(od -An -tu1 -j1 -N1 /dev/vcsa1 2>/dev/null | tr -d ' ')
  if [ -r /dev/vcs1 ] && [ "\${columns:-0}" -gt 0 ]; then fold -b -w "$columns" /dev/vcs1 | sed 's/ *$//' | awk 'NF { for (; blank > 0; blank--) print ""; print; next } { blank++ }'
  else dmesg 2>/dev/null | tail -n ${String(CONSOLE_LINES)}; fi
}

state=
if command -v systemctl >/dev/null 2>&1; then
  waited=0
  while state=$(systemctl is-system-running 2>/dev/null); [ "$waited" -lt ${String(SYSTEM_WAIT_S)} ]; do
    case $state in ''|initializing|starting) sleep 1; waited=$((waited + 1)) ;; *) break ;; esac
  done
fi
${waitForAddress ? `waited=0
while [ -z "$(addresses)" ] && [ "$waited" -lt ${String(ADDRESS_WAIT_S)} ]; do sleep 1; waited=$((waited + 1)); done
announce
` : ''}booted=$(date -u +%Y-%m-%dT%H:%M:%SZ)
script=
${script === undefined ? '' : runScript(directory, script)}
work=$(mktemp -d) || work=${directory}
{
  printf '{"hostName":'; json_string "$(cat /proc/sys/kernel/hostname)"
  printf ',"systemState":'; json_string "$state"
  printf ',"failedUnits":'
  if command -v systemctl >/dev/null 2>&1; then systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null | awk '{ print $1 }' | json_array; else printf '[]'; fi
  printf ',"addresses":'; addresses | json_array
  printf ',"scriptOutput":"'; [ -z "$script" ] || head -c ${String(SCRIPT_OUTPUT_BYTES)} ${directory}/output | json_text
  printf '"'
  [ -z "$script" ] || printf ',"scriptExitCode":%d' "$script"
  printf ',"console":"'; console_text 2>/dev/null | tail -c ${String(CONSOLE_BYTES)} | json_text; printf '"'
  printf ',"bootedAtUtc":'; json_string "$booted"
  printf '}'
} > "$work/report"

# one write, so that no other line of the console gets into it
{ printf '\\nLANDFALL-BOOT '; cat "$work/report"; printf '\\n'; } > "$work/line"
cat "$work/line" > /dev/console 2>/dev/null

tell_host() {
  if command -v vmware-rpctool >/dev/null 2>&1 && vmware-rpctool "info-set guestinfo.landfall.boot $(cat "$work/report")" >/dev/null 2>&1; then return 0; fi
  ${directory}/tell < "$work/report" >/dev/null 2>&1
}
# 1: the host refused, which may pass; anything else: there is no such host, or the program cannot run here
tries=${String(TELL_TRIES)}
until tell_host; do
  [ $? = 1 ] && [ "$tries" -gt 0 ] || break
  tries=$((tries - 1))
  sleep ${String(TELL_PAUSE_S)}
done
[ "$work" = ${directory} ] || rm -rf "$work"

${remove.map(path => `rm -f ${path}\n`).join('')}command -v systemctl >/dev/null 2>&1 && systemctl disable ${unit} >/dev/null 2>&1
rm -f /etc/systemd/system/${unit} /etc/systemd/system/multi-user.target.wants/${unit}
rm -rf ${directory}
command -v systemctl >/dev/null 2>&1 && systemctl daemon-reload >/dev/null 2>&1
exit 0
`
}

/** The user's script with its arguments, its output kept, ended after its time; without `timeout` on the system it runs unbounded but not unseen. */
function runScript(directory: string, { content, arguments: args, timeoutMs }: Script): string {
  const seconds = Math.ceil(timeoutMs / 1000)
  const interpreter = content.startsWith('#!') ? `${directory}/script` : `/bin/sh ${directory}/script`
  const words = [interpreter, ...args.map(shellWord)].join(' ')
  return `if command -v timeout >/dev/null 2>&1; then timeout -k ${String(SCRIPT_KILL_S)} ${String(seconds)} ${words} > ${directory}/output 2>&1 < /dev/null; script=$?
else ${words} > ${directory}/output 2>&1 < /dev/null; script=$?; fi
`
}

/** The systemd unit. It is no part of the boot: `simple` lets the boot end, and the program waits for that end itself. */
export function firstBootUnit({ directory, unit }: Pick<FirstBoot, 'directory' | 'unit'>): string {
  return `# Made by the migration; removes itself after the first boot.
[Unit]
Description=Report the first boot after the migration (${unit})
After=network-online.target
Wants=network-online.target
ConditionPathExists=${directory}/run

[Service]
Type=simple
ExecStart=/bin/sh ${directory}/run
TimeoutStopSec=20

[Install]
WantedBy=multi-user.target
`
}

/** For SysV init and upstart: started last in its run level, in the background, because the boot does not wait for it. */
export function firstBootInitScript({ directory }: Pick<FirstBoot, 'directory'>): string {
  return `#!/bin/sh
# Made by the migration; removes itself after the first boot.
# chkconfig: 2345 99 01
# description: Report the first boot after the migration
### BEGIN INIT INFO
# Provides: landfall-first-boot
# Required-Start: $local_fs
# Should-Start: $all
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop:
# Short-Description: Report the first boot after the migration
### END INIT INFO
case $1 in
  start) [ -f ${directory}/run ] && { /bin/sh ${directory}/run </dev/null >/dev/null 2>&1 & } ;;
esac
exit 0
`
}
