/** What is looked at in the replica while it runs, over its serial console: the lab changes nothing that the migration made. */
import type { Guest } from './guest.ts'
import { ADAPTERS, gatewayOf, macOf, type SourceGuest } from './source-guest.ts'

export interface Check { check: string, ok: boolean, detail: string }

const DATABASE_MS = 300_000
const BOOT_MS = 600_000
const LOGIN = / login: /
/** GRUB's first entry has the kernel that runs, an initramfs that is there, and the root that is mounted. */
const FIRST_ENTRY = `set -e
entry=$(awk '/^menuentry/ { found = 1 } found { print } found && /^}/ { exit }' /boot/grub/grub.cfg)
set -- $(echo "$entry" | awk '$1 == "linux" { print; exit }')
kernel=$2
initrd=$(echo "$entry" | awk '$1 == "initrd" { print $2; exit }')
for word in "$@"; do case $word in root=*) root=\${word#root=} ;; esac; done
test "$(basename "$kernel")" = "vmlinuz-$(uname -r)"
test -s "/boot$kernel" && test -s "/boot$initrd"
case $root in UUID=*) device=/dev/disk/by-uuid/\${root#UUID=} ;; *) device=$root ;; esac
test "$(readlink -f "$device")" = "$(readlink -f "$(findmnt -no SOURCE /)")"
echo "the first entry starts $kernel with $initrd and $root"`

/** All of them, in the order in which they are made; none throws. @param address it must have @param failedOnSource units that had failed on the source */
export async function checkReplica(guest: Guest, source: SourceGuest, address: string, failedOnSource: readonly string[]): Promise<Check[]> {
  const { o } = source
  const run = async (script: string, timeoutMs?: number): Promise<string> => (await guest.shell.run(script, timeoutMs)).trim()
  const checks: Check[] = []
  const check = async (name: string, look: () => Promise<{ ok: boolean, detail: string }>): Promise<void> => {
    checks.push({ check: name, ...await look().catch((error: unknown) => ({ ok: false, detail: error instanceof Error ? error.message : String(error) })) })
  }
  await check('units', async () => {
    const failed = (await run('systemctl is-system-running --wait >/dev/null; systemctl list-units --state=failed --plain --no-legend | cut -d" " -f1', BOOT_MS)).split('\n').filter(unit => unit !== '' && !failedOnSource.includes(unit))
    return { ok: failed.length === 0, detail: failed.length === 0 ? 'no unit failed that had not failed on the source' : failed.join() }
  })
  await check('database', async () => {
    const text = await run('until su postgres -s /bin/sh -c "psql -qAtc \'SELECT n FROM commits\' postgres" >/run/commits 2>/dev/null; do sleep 1; done; cat /run/commits', DATABASE_MS)
    const there = new Set(text.split('\n').map(Number))
    const acknowledged = await source.acknowledged()
    const lost = acknowledged.filter(n => !there.has(n))
    return { ok: acknowledged.length > 0 && lost.length === 0, detail: `${String(acknowledged.length)} commits were acknowledged, ${String(there.size)} are there, ${lost.length === 0 ? 'none is lost' : `lost: ${lost.slice(0, 20).join()}`}` }
  })
  await check('network', async () => {
    const detail = await run(`ip -br address show bond0; for a in ${ADAPTERS.join(' ')}; do ip -br link show $a; done; grep -h "Slave Interface" /proc/net/bonding/bond0; ping -c 3 -w 20 ${gatewayOf(o)} >/dev/null && echo gateway answers`)
    const old = ADAPTERS.map((_, i) => macOf(o, i)).filter(mac => detail.includes(mac))
    const others = [...detail.matchAll(/ (\d+(?:\.\d+){3})\/\d+/g)].filter(([, found]) => found !== address)
    return { ok: detail.includes(`${address}/24`) && others.length === 0 && ADAPTERS.every(name => detail.includes(`Slave Interface: ${name}`)) && detail.includes('gateway answers') && old.length === 0, detail: detail.replaceAll('\n', '; ') }
  })
  await check('mounts', async () => {
    const detail = await run('findmnt -rno TARGET,FSTYPE --real; swapon --noheadings --show=NAME')
    const missing = source.volumes.filter(v => !detail.split('\n').includes(`${v.mountPoint} ${v.type}`))
    return { ok: missing.length === 0 && detail.includes('/dev/'), detail: detail.replaceAll('\n', '; ') }
  })
  await check('hardware', async () => {
    const detail = await run('cat /sys/class/scsi_host/host*/proc_name | sort -u; for a in ens3 ens4; do basename "$(readlink /sys/class/net/$a/device/driver)"; done')
    return { ok: detail.includes('pvscsi') && detail.includes('vmxnet3'), detail: detail.replaceAll('\n', '; ') }
  })
  await check('menu', async () => {
    const detail = await run(FIRST_ENTRY)
    return { ok: detail.startsWith('the first entry starts '), detail }
  })
  await check('agent', async () => {
    const detail = await run('ls -d /opt/landfall /etc/landfall /var/lib/landfall-agent /etc/systemd/system/landfall-agent.service 2>/dev/null || true')
    return { ok: detail === '', detail: detail === '' ? 'nothing of ours is left on the replica' : detail.replaceAll('\n', '; ') }
  })
  if (o.layout === 'lvm') await check('vgck', async () => ({ ok: true, detail: await run('vgck -v 2>&1 && vgs --noheadings -o vg_name,vg_attr') }))
  await check('second start', async () => {
    const from = (await guest.console()).length
    await guest.shell.attempt('systemd-run --quiet --on-active=1 systemctl reboot')
    guest.shell.forget()
    await guest.waitForConsole(LOGIN, BOOT_MS, from)
    guest.shell.forget()
    await guest.shell.ready(BOOT_MS)
    const state = await run('systemctl is-system-running --wait; hostname', BOOT_MS).catch((error: unknown) => String(error))
    return { ok: state.includes(o.hostName) && state.includes('running'), detail: state.replaceAll('\n', ' ') }
  })
  return checks
}
