import { SqliteJobStore } from '../../src/job/sqlite-job-store.ts'
import { jobStoreContract } from './job-store.contract.ts'
jobStoreContract('SQLite', async () => await SqliteJobStore.open(':memory:'))
