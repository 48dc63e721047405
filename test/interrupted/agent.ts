/** The agent of the interruption test: the product's own, but that it does not wait long before it dials again. Its configuration is its argument, as JSON. */
import { createAgent } from '../../src/agent/agent.ts'
import { AgentConfig } from '../../src/agent/config.ts'
import { systemClock } from '../../src/clock/clock.ts'

const RETRY_MS = 50

await using agent = createAgent(AgentConfig.parse(JSON.parse(process.argv[2] ?? '')), {
  clock: { ...systemClock, sleep: async (ms, signal) => { await systemClock.sleep(Math.min(ms, RETRY_MS), signal) } },
})
await agent.run(new AbortController().signal)
