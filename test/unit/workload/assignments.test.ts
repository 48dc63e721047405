import t from 'tap'
import { parseAssignments } from '../../../src/workload/assignments.ts'

t.test('assignments are read with the quoting of a shell', t => {
  t.same([...parseAssignments('A="x \\"y\\" \\$z"\nB=\'it is\'\nC=plain # no\n#D=1\nE=\n=F\n')], [['A', 'x "y" $z'], ['B', 'it is'], ['C', 'plain'], ['E', '']])
  t.end()
})
