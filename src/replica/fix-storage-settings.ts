/** C11 to C13: LVM, md and multipath of the old hardware, in the files of the replica. */
import type { AssembledReplica, FixUp } from './fix-up.ts'

const LVM_DEVICES = '/etc/lvm/devices/system.devices'
const LVM_CONFIGURATION = ['/etc/lvm/lvm.conf', '/etc/lvm/lvmlocal.conf'] as const
const MDADM = ['/etc/mdadm.conf', '/etc/mdadm/mdadm.conf'] as const
const MULTIPATH = ['/etc/multipath/bindings', '/etc/multipath/wwids', '/var/lib/multipath/bindings', '/etc/multipath.conf'] as const

/** Red Hat 9 and others look for volume groups only on the devices listed there, by the old serial numbers; filters may name old devices. */
export const FORGET_LVM_DEVICES: FixUp = {
  id: 'C11', title: 'let LVM look at the new disks', required: true,
  fix: async ({ files }: AssembledReplica) => {
    const messages = await files.remove(LVM_DEVICES) ? [`${LVM_DEVICES} removed: it names the old disks`] : []
    for (const path of LVM_CONFIGURATION) {
      const text = await files.text(path)
      if (text === undefined) continue
      const fixed = relaxLvm(text)
      if (fixed.text !== text) await files.write(path, fixed.text)
      messages.push(...fixed.messages.map(m => `${path}: ${m}`))
    }
    return messages
  },
}

/** Arrays are plain disks on the replica: nothing is assembled, and nobody waits for it. */
export const FORGET_ARRAYS: FixUp = {
  id: 'C12', title: 'forget the disk arrays of the source', required: true,
  fix: async ({ files }: AssembledReplica) => {
    const messages: string[] = []
    for (const path of MDADM) {
      const text = await files.text(path)
      if (text === undefined) continue
      const fixed = text.split('\n').map(line => /^\s*ARRAY\s/i.test(line) ? `# landfall: a plain disk now: ${line.trim()}` : line).join('\n')
      if (fixed === text) continue
      await files.write(path, fixed)
      messages.push(`${path}: arrays are comments now`)
    }
    return messages
  },
}

/** There is one path to each disk: maps with the old names would take the disks. */
export const FORGET_MULTIPATH: FixUp = {
  id: 'C13', title: 'forget the paths to the disks of the source', required: true,
  fix: async ({ files }: AssembledReplica) => {
    const messages: string[] = []
    for (const path of MULTIPATH) {
      if (await files.kind(path) !== 'file') continue
      await files.rename(path, `${path}.landfall-not-used`)
      messages.push(`${path} is ${path.split('/').at(-1) ?? ''}.landfall-not-used now`)
    }
    return messages
  },
}

/** lvm.conf without filters of devices, locks of a cluster, and a system id that comes from hardware. Pure. */
export function relaxLvm(text: string): { text: string, messages: readonly string[] } {
  const messages: string[] = []
  const lines = text.split('\n').map(line => {
    const [, indent = '', key = '', value = ''] = /^(\s*)(global_filter|filter|use_lvmlockd|locking_type|use_devicesfile|system_id_source)\s*=\s*(.*)$/.exec(line) ?? []
    if (key === '') return line
    const off = (why: string): string => {
      messages.push(why)
      return `${indent}# landfall: ${line.trim()}`
    }
    if (key.endsWith('filter')) return /"a([|/!])\.\*\/?\1"/.test(value) && !/"r/.test(value) ? line : off(`${key} is a comment now: it names the old devices`)
    if (key === 'use_lvmlockd' && value.trim() === '1') return off('use_lvmlockd is off: the replica is in no cluster')
    if (key === 'locking_type' && value.trim() === '3') return off('the locks of a cluster are off')
    if (key === 'system_id_source' && !/lvmlocal|machineid|uname|file|none/.test(value)) return off('system_id_source is off')
    return line
  })
  return { text: lines.join('\n'), messages }
}
