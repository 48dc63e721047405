/** What is done to a replica, for the job's steps, made of the functions of `replica/`. */
import { join } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import type { Runner } from '../command/runner.ts'
import type { ReplicaWork } from '../job/step.ts'
import { forgetFixUps, isSystemAsRehearsed, makeBootable, rehearseBoot, restoreReplica } from '../replica/boot.ts'
import { buildReplica } from '../replica/build.ts'
import { checkPlan } from '../replica/check-plan.ts'
import { discardReplica } from '../replica/discard.ts'
import { planReplica } from '../replica/plan.ts'

/** @param stateDirectory the appliance's own; layers over replicas lie in it */
export function replicaWork(runner: Runner, clock: Clock, stateDirectory: string): ReplicaWork {
  const parts = { runner, clock, layers: join(stateDirectory, 'layers') }
  return {
    plan: request => {
      const plan = planReplica(request)
      return { plan, findings: checkPlan({ ...request, plan }) }
    },
    build: buildReplica,
    makeBootable: async (request, { keepReport, beforeChanges }, signal) => await makeBootable({ ...parts, keepReport }, request, beforeChanges, signal),
    restore: async (request, signal) => await restoreReplica(parts, request, signal),
    forgetFixUps: async request => { await forgetFixUps(parts, request) },
    rehearse: async (request, keepReport, signal) => await rehearseBoot({ ...parts, keepReport }, request, signal),
    isAsRehearsed: async (request, signal) => await isSystemAsRehearsed(parts, request, signal),
    discard: discardReplica,
  }
}
