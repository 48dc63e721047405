import { MemoryJobStore } from '../../src/job/memory-job-store.ts'
import { jobStoreContract } from './job-store.contract.ts'
jobStoreContract('memory', async () => new MemoryJobStore())
