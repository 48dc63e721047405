/** A source of which not everything can be read or addressed: that is told, everything else is copied, and the replica loses nothing. */
import { closeSync, ftruncateSync, lstatSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { imageOf, run, spoil, spoilAttributes, unmounted } from '../../zoo/damaged-volume.ts'
import { MOUNT_SKIP, mountLoop, type LoopFileSystem, type LoopType } from '../../zoo/loop-file-system.ts'
import { inShort, mirrorBetween } from '../../zoo/mirror-between.ts'
import { differences } from '../../zoo/zoo.ts'

const dropCaches = (): void => { writeFileSync('/proc/sys/vm/drop_caches', '3') }

function mounted(t: Test, type: LoopType, sizeMiB?: number, format?: readonly string[]): LoopFileSystem {
  const volume = mountLoop(type, sizeMiB, undefined, format)
  t.teardown(() => { volume[Symbol.dispose]() })
  return volume
}

for (const [size, sizeBytes] of [['small', 65_536], ['large', 3 << 20]] as const) {
  t.test(`blocks of a ${size} file that cannot be read are told with their range, the rest of it is copied, and the mirror goes on`, { skip: MOUNT_SKIP }, async t => {
    const [source, replica] = [mounted(t, 'ext4', 128, ['-b', '4096']), mounted(t, 'ext4', 128)]
    // what lies in inodes can be read whatever happens to the image
    for (const name of ['before', 'zzz']) symlinkSync(name, join(source.path, name))
    const content = randomBytes(sizeBytes)
    writeFileSync(join(source.path, 'f'), content)
    run('sync', '-f', source.path)
    const extents = Array.from(run('filefrag', '-v', '-b4096', join(source.path, 'f')).matchAll(/^\s+\d+:\s+(\d+)\.\.\s*(\d+):\s+(\d+)\.\.\s*(\d+)/gm), ([, , last, , physical]) => ({ end: Number(last) + 1, physicalEnd: Number(physical) + 1 }))
    const highest = extents.toSorted((x, y) => y.physicalEnd - x.physicalEnd)[0] ?? t.fail('no extents')
    if (highest === false || highest === true) return
    // the last 8 blocks of its highest extent lie behind the end of the image
    const [from, to] = [(highest.end - 8) * 4096, highest.end * 4096]
    const image = openSync(imageOf(source), 'r+')
    const whole = lstatSync(imageOf(source)).size
    const rest = readFileSync(imageOf(source)).subarray((highest.physicalEnd - 8) * 4096)
    dropCaches()
    ftruncateSync(image, (highest.physicalEnd - 8) * 4096)
    try {
      for (const compare of ['none', 'data'] as const) {
        dropCaches()
        const { all } = await mirrorBetween(source.path, replica.path, { compare })
        t.same([...new Set(inShort(all))], ['FILE_UNREADABLE f'], `comparing ${compare}`)
        t.match(all.map(finding => finding.message).join('\n'), size === 'large' || compare === 'data' ? `bytes ${String(from)} to ${String(to - 1)}` : `4096 bytes at offset ${String(from)}`)
        const copied = readFileSync(join(replica.path, 'f'))
        t.ok(copied.subarray(0, from).equals(content.subarray(0, from)) && copied.subarray(to).equals(content.subarray(to)), 'what can be read is there')
        t.ok(copied.subarray(from, to).equals(Buffer.alloc(to - from)), 'the rest is zeros')
        t.same(['before', 'zzz'].map(name => readlinkSync(join(replica.path, name))), ['before', 'zzz'])
      }
    } finally {
      ftruncateSync(image, whole)
      writeSync(image, rest, 0, rest.length, (highest.physicalEnd - 8) * 4096)
      closeSync(image)
    }
    dropCaches()
    t.same((await mirrorBetween(source.path, replica.path, { compare: 'data' })).all, [])
    t.same(differences(source.path, replica.path), [])
  })
}

t.test('objects whose inodes cannot be read are told, and what the replica has of them stays', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'ext4', 64), mounted(t, 'ext4', 64)]
  for (const path of ['file', 'other']) writeFileSync(join(source.path, path), path)
  mkdirSync(join(source.path, 'directory'))
  writeFileSync(join(source.path, 'directory/inside'), 'inside')
  t.same((await mirrorBetween(source.path, replica.path)).all, [])
  writeFileSync(join(source.path, 'other'), 'changed')
  unmounted(source, image => {
    for (const path of ['file', 'directory']) {
      const [, block, offset] = /located at block (\d+), offset 0x([0-9a-f]+)/.exec(run('debugfs', '-R', `imap /${path}`, image)) ?? []
      const blockBytes = Number(/Block size:\s+(\d+)/.exec(run('dumpe2fs', '-h', image))?.[1])
      spoil(image, Number(block) * blockBytes + Number.parseInt(offset ?? '', 16), 128)
    }
  })
  const { all } = await mirrorBetween(source.path, replica.path)
  t.same(inShort(all), ['FILE_UNREADABLE directory', 'FILE_UNREADABLE file'])
  t.same(['file', 'directory/inside', 'other'].map(path => readFileSync(join(replica.path, path), 'utf8')), ['file', 'inside', 'changed'])
})

t.test('a directory that cannot be read is told, and what the replica has in it stays', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'xfs'), mounted(t, 'xfs')]
  for (const directory of ['bad', 'good']) {
    mkdirSync(join(source.path, directory))
    for (let i = 0; i < 100; i++) writeFileSync(join(source.path, directory, `a name that is rather long ${String(i)}`), String(i))
  }
  t.same((await mirrorBetween(source.path, replica.path)).all, [])
  rmSync(join(source.path, 'good/a name that is rather long 7'))
  const inode = lstatSync(join(source.path, 'bad')).ino
  unmounted(source, image => {
    const answer = run('xfs_db', '-r', '-c', `inode ${String(inode)}`, '-c', 'dblock 0', '-c', 'daddr', image)
    const sector = Number(/current daddr is (\d+)/.exec(answer)?.[1])
    t.ok(sector > 0, answer)
    spoil(image, sector * 512, 256)
  })
  const { all } = await mirrorBetween(source.path, replica.path)
  t.same(inShort(all), ['FILE_UNREADABLE bad'])
  t.equal(readFileSync(join(replica.path, 'bad/a name that is rather long 7'), 'utf8'), '7')
  t.throws(() => lstatSync(join(replica.path, 'good/a name that is rather long 7')), { code: 'ENOENT' })
})

t.test('objects whose attributes cannot be read are told, and the mirror goes on in and behind them', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'ext4', 64), mounted(t, 'ext4', 64)]
  writeFileSync(join(source.path, 'file'), 'file')
  mkdirSync(join(source.path, 'directory'))
  for (const path of ['file', 'directory']) run('setfattr', '-n', 'user.long', '-v', path.repeat(50), join(source.path, path))
  for (const path of ['directory/inside', 'other']) writeFileSync(join(source.path, path), path)
  t.same((await mirrorBetween(source.path, replica.path)).all, [])
  for (const path of ['directory/inside', 'directory/new', 'other', 'zzz']) writeFileSync(join(source.path, path), `${path} now`)
  unmounted(source, image => {
    spoilAttributes(image, ['file', 'directory'])
  })
  const { all } = await mirrorBetween(source.path, replica.path)
  t.same([...new Set(inShort(all))], ['FILE_UNREADABLE directory', 'FILE_UNREADABLE file'])
  t.same(['file', 'directory/inside', 'directory/new', 'other', 'zzz'].map(path => readFileSync(join(replica.path, path), 'utf8')), ['file', 'directory/inside now', 'directory/new now', 'other now', 'zzz now'])
})

t.test('a tree far deeper than any path is copied as far as it can be addressed, again and again, and removed', { skip: MOUNT_SKIP }, async t => {
  for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
    const [source, replica] = [mounted(t, type), mounted(t, type)]
    run('python3', '-c', `
import os, sys
os.chdir(sys.argv[1])
open('beside', 'w').write('beside')
for level in range(300):
    os.mkdir('d%03d' % level + 'n' * 196); os.chdir('d%03d' % level + 'n' * 196)
    open('f', 'w').write(str(level)); os.link('f', 'g'); os.mkdir('e')
`, source.path)
    for (const round of ['first', 'second']) {
      const { all, filesFound } = await mirrorBetween(source.path, replica.path)
      t.same(all.map(({ code }) => code), ['PATH_TOO_LONG'], `${type}, ${round}`)
      t.match(all[0]?.subject, /^d000n+\/.*\/d019n+$/, 'the directory of which names are missing is named')
      t.ok(filesFound > 80 && filesFound < 90, String(filesFound))
    }
    const depth = run('python3', '-c', `
import os, sys
os.chdir(sys.argv[1])
depth = 0
while True:
    names = [name for name in os.listdir('.') if name.startswith('d')]
    assert sorted(n for n in os.listdir('.') if n in 'efg') == (['e', 'f', 'g'] if depth else []), (depth, os.listdir('.'))
    assert depth == 0 or open('f').read() == str(depth - 1) and os.stat('f').st_ino == os.stat('g').st_ino
    if not names: break
    os.chdir(names[0]); depth += 1
print(depth)
`, replica.path).trim()
    t.equal(depth, '20', `all that has a path of at most 4094 bytes (${type})`)
    // the other way round: what only the replica has is removed, however deep it is
    rmSync(join(replica.path, 'beside'))
    await mirrorBetween(replica.path, source.path)
    t.throws(() => lstatSync(join(source.path, 'beside')), { code: 'ENOENT' })
    run('bash', '-c', 'rm -r -- "$1"/d000*', 'bash', replica.path)
    t.same((await mirrorBetween(replica.path, source.path)).all, [])
    t.same(differences(source.path, replica.path), [])
  }
})
