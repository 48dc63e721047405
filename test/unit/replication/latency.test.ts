import t from 'tap'
import { LatencyHistogram } from '../../../src/replication/latency.ts'

void t.test('percentiles are within 5 % of the truth', async t => {
  const histogram = new LatencyHistogram()
  for (let ms = 1; ms <= 10_000; ms++) histogram.add(ms)
  t.ok(Math.abs(histogram.percentile(0.5) - 5000) <= 300, String(histogram.percentile(0.5)))
  t.ok(Math.abs(histogram.percentile(0.99) - 9900) <= 600, String(histogram.percentile(0.99)))
})

void t.test('without a change the latency is 0', async t => {
  t.equal(new LatencyHistogram().percentile(0.99), 0)
})

void t.test('what is older than the histogram knows counts as the oldest', async t => {
  const histogram = new LatencyHistogram()
  histogram.add(1e15)
  t.ok(histogram.percentile(0.5) > 24 * 3600_000)
})

void t.test('no share of the changes took longer than the longest of them', async t => {
  const wrong: number[] = []
  for (let ms = 1; ms <= 1000; ms++) {
    const histogram = new LatencyHistogram()
    histogram.add(ms)
    const said = histogram.percentile(0.99)
    if (said > ms || said < ms * 0.95 - 1) wrong.push(ms)
  }
  t.same(wrong, [])
})
