/**
 * Describes the source server. Runs in the agent, on a customer's live server: it only reads, a bounded amount of each file, one tool after
 * the other, and it always answers: whatever is odd, hostile or missing becomes a finding of the workload. It judges nothing about the
 * target (that is validation) and never changes the server.
 */
import type { Finding } from '../domain/finding.ts'
import type { Workload } from '../domain/workload.ts'
import { listBlockDevices } from '../command/lsblk.ts'
import type { Runner } from '../command/runner.ts'
import { discoverBoot } from './discover-boot.ts'
import { discoverDisks } from './discover-disks.ts'
import { discoverHardware } from './discover-hardware.ts'
import { discoverLayers } from './discover-layers.ts'
import { discoverNetwork } from './discover-network.ts'
import { discoverOs } from './discover-os.ts'
import { discoverSwapFiles } from './discover-swap-files.ts'
import { discoverVolumes } from './discover-volumes.ts'
import { collectFindings, orFinding } from './findings.ts'
import { checkFstab, readFstab } from './fstab.ts'
import { KERNEL_PLACES, type KernelPlaces } from './kernel-places.ts'
import { readMounts } from './mount-table.ts'
import { SourceRoot } from './source-root.ts'

export interface DiscoverOptions {
  /** '/' on a real source; the place where its root file system is mounted when the agent runs beside it */
  root: string
  runner: Runner
  /** the network namespace that holds the server's adapters; undefined: the agent's own */
  networkNamespace?: string
  /** says whether changes of these volumes (by mount point) can be captured; without it the workload says that nobody looked */
  probeCapture?: (mountPoints: readonly string[], signal: AbortSignal) => Promise<Workload['capture']>
  kernel?: KernelPlaces
  signal: AbortSignal
}

/** Describes the server whose root is `root`. Rejects only when aborted. */
export async function discoverWorkload(options: DiscoverOptions): Promise<Workload> {
  const { runner, networkNamespace, probeCapture, signal } = options
  signal.throwIfAborted()
  const kernel = options.kernel ?? KERNEL_PLACES
  const findings: Finding[] = []
  const report = collectFindings(findings)
  const root = await SourceRoot.open(options.root, report)
  const live = root.path === '/'

  const mounts = await readMounts(kernel.proc, root.path, report)
  const devices = await orFinding(report, 'block devices', 'Check that lsblk works on the source.', [], async () => listBlockDevices(runner, signal), signal)
  const fstab = await readFstab(root)
  const { disks, below } = await discoverDisks({ runner, devices, mounts, live, kernel, report, signal })
  const { layers, names } = await discoverLayers({ runner, devices: below, kernel, report, signal })
  const mounted = await discoverVolumes({ runner, root: root.path, devices: below, disks, names, mounts, kernel, report, signal })
  const volumes = [...mounted, ...live ? await discoverSwapFiles({ runner, kernel, volumes: mounted, report, signal }) : []]
  checkFstab(fstab, { volumes, disks }, report)
  const network = await discoverNetwork({ runner, root, namespace: networkNamespace, report, signal })
  const capture = probeCapture === undefined
    ? { tier: 'none' as const, reason: 'the agent did not look whether changes can be captured', unseen: [] }
    : await orFinding(report, 'capture of changes', 'See the log of the agent.', { tier: 'none' as const, reason: 'the check failed', unseen: [] }, async () => await probeCapture(volumes.flatMap(v => v.mountPoint ?? []), signal), signal)
  return {
    version: 1,
    ...await discoverOs(root, live ? kernel.proc : undefined, report),
    ...await discoverHardware(kernel.proc, report),
    ...await discoverBoot({ root, live, kernel, disks, maps: new Set(layers.multipaths.map(m => m.name)), report, signal }),
    disks, volumes, ...(Object.values(layers).every(l => l.length === 0) ? {} : { layers }), ...network, capture, findings,
  }
}
