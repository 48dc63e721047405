// count.mjs RESULTS.tap PASSED FAILED : counts the tests of a tap run (each test of each file), adds what was counted before, prints the failed
// ones with what tap says of them, the skipped ones, and the last line "N passed, N failed". Exits with 1 when something failed, was skipped, or when no test ran.
import { createReadStream, existsSync } from 'node:fs'
import { Parser } from 'tap-parser'

const [file, passedBefore, failedBefore] = process.argv.slice(2)
let passed = Number(passedBefore), failed = Number(failedBefore), ran = 0
const complaints = []
const DIAGNOSTIC_LINES = 40
/** What tap says of a failed point, shortened and indented. */
const diagnostics = ({ diag }) => diag === undefined || diag === null ? [] : JSON.stringify(diag, null, 1).split('\n').slice(0, DIAGNOSTIC_LINES).map(line => `    ${line.slice(0, 300)}`)
const complain = (what, where) => { failed += 1; complaints.push(`${what}: ${where}`) }

if (existsSync(file)) {
  const parser = new Parser()
  const badFiles = new Set()
  // each file of tests is a child; its points are the tests
  parser.on('child', child => {
    let details = []
    // what failed within the test that ends next
    child.on('child', test => test.on('assert', (point) => { if (!point.ok) details.push(`  ${point.name}`, ...diagnostics(point)) }))
    child.on('assert', (point) => {
      ran += 1
      if (point.ok && !point.skip) passed += 1
      else {
        badFiles.add(child.name)
        complain(point.skip ? 'skipped' : 'failed', [`${child.name}: ${point.name}`, ...details, ...point.skip ? [] : diagnostics(point)].join('\n'))
      }
      details = []
    })
  })
  // a file that broke outside of its tests
  parser.on('assert', (result) => { if (!result.ok && !badFiles.has(result.name)) complain('failed', `${result.name} did not end well`) })
  createReadStream(file).pipe(parser)
  const results = await new Promise(resolve => parser.on('complete', resolve))
  if (!results.ok && complaints.length === 0) complain('failed', `the results are not whole: ${results.failures.map(f => f.tapError ?? f.name).join(', ')}`)
}
if (ran === 0) complain('failed', 'no test ran at all')
for (const line of complaints) console.log(line)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
