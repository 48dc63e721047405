import { execFileSync } from 'node:child_process'
import { ExecaRunner } from '../../src/command/execa-runner.ts'
import { LinuxVolumeStack } from '../../src/storage/linux-volume-stack.ts'
import { makeLoopDisks, noLoopDisks } from './loop-disks.ts'
import { DATA_DISK, SYSTEM_DISK, volumeStackContract } from './volume-stack.contract.ts'

volumeStackContract('linux on loop devices', async () => {
  const disks = makeLoopDisks([SYSTEM_DISK.sizeBytes, DATA_DISK.sizeBytes])
  const stack = new LinuxVolumeStack({ runner: new ExecaRunner(), stateDirectory: `${disks.directory}/state`, devicesBySerial: `${disks.directory}/by-serial` })
  const [first, second] = disks.diskUuids
  return {
    stack, diskUuids: [first ?? '', second ?? ''],
    scribble: async device => { execFileSync('dd', ['if=/dev/urandom', `of=${device}`, 'bs=4096', 'count=1', 'seek=100', 'conv=fsync', 'status=none']) },
    [Symbol.asyncDispose]: async () => { disks[Symbol.dispose]() },
  }
}, noLoopDisks())
