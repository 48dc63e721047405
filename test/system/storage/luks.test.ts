/** LUKS containers as the real cryptsetup makes them, on plain files: no device mapper is needed for that. What opens them runs in lvm-guest.test.ts. */
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { formatLuks, type LuksOptions } from '../../../src/command/cryptsetup.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { makeBlankDisk } from '../../zoo/program-root.ts'

const signal = AbortSignal.timeout(200_000)
const UUID = '0a0a0a0a-1111-4000-8000-00000000000c'
const LUKS2: LuksOptions = { type: 'LUKS2', uuid: UUID, label: 'my data', cipher: 'aes-xts-plain64', keyBits: 512, headerBytes: 16 << 20, keyDerivation: 'argon2id' }
const installed = spawnSync('cryptsetup', ['--version']).status === 0
if (!installed && process.env['REQUIRE_SYSTEM'] === '1') throw new Error('needs cryptsetup')

t.test('a container has the identity, the cipher and the room before its data that were asked for, and its passphrase alone opens it', { skip: installed ? false : 'needs cryptsetup', timeout: 180_000 }, async t => {
  const dir = t.testdir({})
  const make = async (name: string, options: Partial<LuksOptions>): Promise<string> => {
    const file = join(dir, name)
    makeBlankDisk(file, 64 << 20)
    await formatLuks(new ExecaRunner(), file, { ...LUKS2, ...options }, 'correct horse', signal)
    return execFileSync('cryptsetup', ['luksDump', file], { encoding: 'utf8' })
  }
  const luks2 = await make('luks2', { headerBytes: 2 << 20 }) // as small as one that once was LUKS1
  t.match(luks2, new RegExp(`Version: +\\t2[\\s\\S]*UUID: +\\t${UUID}\\nLabel: +\\tmy data[\\s\\S]*offset: 2097152 \\[bytes\\][\\s\\S]*cipher: aes-xts-plain64\\n\\tsector: 512 [\\s\\S]*Key: +512 bits[\\s\\S]*PBKDF: +argon2id`))
  t.match(await make('luks1', { type: 'LUKS1', label: '', keyDerivation: 'pbkdf2' }), new RegExp(`Version: +\\t1\\n[\\s\\S]*Payload offset:\\t32768\\n[\\s\\S]*UUID: +\\t${UUID}`))
  const opens = (input: string): boolean => spawnSync('cryptsetup', ['open', '--test-passphrase', '--key-file', '-', join(dir, 'luks2')], { input }).status === 0
  t.same([opens('correct horse'), opens('another one')], [true, false])
})
