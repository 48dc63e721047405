/** What a job does with a replica, as one value: the functions of this folder with the parts they need. */
import type { Finding } from '../domain/finding.ts'
import type { BuiltReplica, ReplicaPlan } from '../domain/replica.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import { makeBootable, type BootParts, type BootRequest } from './boot.ts'
import { buildReplica, type BuildRequest } from './build.ts'
import { checkPlan } from './check-plan.ts'
import { discardReplica, type DiscardRequest } from './discard.ts'
import { planReplica, type PlanInput } from './plan.ts'

type Keep = (built: BuiltReplica) => Promise<void>

export interface ReplicaWork {
  plan: (input: PlanInput) => { plan: ReplicaPlan, findings: readonly Finding[] }
  build: (request: BuildRequest, keep: Keep, signal: AbortSignal) => Promise<readonly MountedVolume[]>
  makeBootable: (request: BootRequest, signal: AbortSignal) => Promise<readonly Finding[]>
  discard: (request: DiscardRequest, keep: Keep, signal: AbortSignal) => Promise<void>
}

export function replicaWork(parts: BootParts): ReplicaWork {
  return {
    plan: input => {
      const plan = planReplica(input)
      return { plan, findings: checkPlan({ ...input, plan }) }
    },
    build: buildReplica,
    makeBootable: async (request, signal) => makeBootable(parts, request, signal),
    discard: discardReplica,
  }
}
