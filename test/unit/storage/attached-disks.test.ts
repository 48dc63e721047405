import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Clock } from '../../../src/clock/clock.ts'
import { disksByLink, disksBySerial, waitForDisk } from '../../../src/storage/attached-disks.ts'

const UUID = '6000c29f0123456789abcdef01234567'

t.test('a disk is found by its serial or by its NAA identifier, and not by a part of it', async t => {
  const vpd = Buffer.concat([Buffer.from([0, 0x80, 0, 32]), Buffer.from(UUID)])
  const directory = t.testdir({ sda: { device: { wwid: 'naa.5000000000000000\n' } }, sdb: { device: { vpd_pg80: vpd } }, sdc: { device: { wwid: 'naa.6000c29aaaaaaaaaaaaaaaaaaaaaaaaa\n' } }, loop0: {} })
  const finder = disksBySerial(directory)
  t.equal(await finder.find(UUID), '/dev/sdb')
  t.equal(await finder.find('6000c29aaaaaaaaaaaaaaaaaaaaaaaaa'), '/dev/sdc')
  t.equal(await finder.find(UUID.replace('67', '68')), undefined)
})

t.test('a link names the device in the lab', async t => {
  const directory = t.testdir({})
  symlinkSync('/dev/loop3', join(directory, UUID))
  t.equal(await disksByLink(directory).find(UUID), '/dev/loop3')
  t.equal(await disksByLink(directory).find('0'.repeat(32)), undefined)
})

t.test('a disk that does not come is DISK_NOT_FOUND after a minute, an empty UUID at once', async t => {
  let now = 0
  const clock: Clock = { now: () => now, sleep: async ms => { now += ms } }
  await t.rejects(waitForDisk(disksByLink(t.testdir({})), UUID, clock, AbortSignal.timeout(10_000)), { code: 'DISK_NOT_FOUND' })
  t.ok(now >= 60_000 && now < 61_000)
  now = 0
  await t.rejects(waitForDisk(disksByLink(t.testdir({})), '', clock, AbortSignal.timeout(10_000)), { code: 'DISK_NOT_FOUND' })
  t.equal(now, 0)
})
