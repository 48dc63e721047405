/** The test cutover in a job's record. */
import type { TestCutover } from '../domain/test-cutover.ts'
import { AppError } from '../errors/app-error.ts'
import type { JobHandle } from './step.ts'

/** @throws {AppError} INTERNAL when there is none */
export function testOf(job: JobHandle): TestCutover {
  const test = job.record.testCutover
  if (test === undefined) throw new AppError('INTERNAL', 'the job has no test cutover')
  return test
}

/** What a person orders meanwhile, an undo, stays. */
export async function changeTest(job: JobHandle, changed: Partial<TestCutover>): Promise<void> {
  await job.amend(({ testCutover }) => (testCutover === undefined ? {} : { testCutover: { ...testCutover, ...changed, state: testCutover.state === 'undoing' ? 'undoing' : changed.state ?? testCutover.state } }))
}
