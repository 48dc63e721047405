/** Keeps what the boot fix-ups did, for support and for whoever wants to know which files of the replica differ from the source's. */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { FixUpReport } from '../domain/replica.ts'

/** Writes `fix-ups/<job id>.json` below the appliance's state directory, replacing the one of an earlier run. */
export function reportKeeper(stateDirectory: string): (report: FixUpReport) => Promise<void> {
  return async report => {
    const path = reportPath(stateDirectory, report.jobId)
    await mkdir(join(stateDirectory, 'fix-ups'), { recursive: true, mode: 0o700 })
    {
      await using file = await open(`${path}.new`, 'w', 0o600)
      await file.writeFile(`${JSON.stringify(report, null, 1)}\n`)
      await file.sync()
    }
    await rename(`${path}.new`, path)
  }
}

/** The report of the last run. Rejects when there is none. */
export async function readReport(stateDirectory: string, jobId: string): Promise<FixUpReport> {
  return FixUpReport.parse(JSON.parse(await readFile(reportPath(stateDirectory, jobId), 'utf8')))
}

function reportPath(stateDirectory: string, jobId: string): string {
  return join(stateDirectory, 'fix-ups', `${jobId}.json`)
}
