import t from 'tap'
import { MemoryVolumeStack } from '../../src/storage/memory-volume-stack.ts'
import { GROUP_OBLIGATIONS, releaseGroup } from './volume-group.contract.ts'

for (const { name, check } of GROUP_OBLIGATIONS) {
  t.test(`VolumeStack contract, volume groups: memory: ${name}`, async () => {
    await using stack = new MemoryVolumeStack()
    const open = { stack, devices: [stack.attach('1'), stack.attach('2')] as const, scribble: (device: string): void => { stack.scribble(device) } }
    await check(open)
    await releaseGroup(open)
  })
}
