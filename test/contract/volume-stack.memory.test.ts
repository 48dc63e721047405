import { MemoryVolumeStack } from '../../src/storage/memory-volume-stack.ts'
import { volumeStackContract } from './volume-stack.contract.ts'

volumeStackContract('memory', async () => {
  const stack = new MemoryVolumeStack()
  const diskUuids = ['00000000000000000000000000000001', '00000000000000000000000000000002'] as const
  for (const uuid of diskUuids) stack.attach(uuid)
  return { stack, diskUuids, scribble: async device => { stack.scribble(device) }, [Symbol.asyncDispose]: async () => stack[Symbol.asyncDispose]() }
})
