import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { BootProof } from '../../../src/domain/replica.ts'
import { firstBootInitScript, firstBootProgram, firstBootUnit, shellWord, type FirstBoot } from '../../../src/replica/first-boot-script.ts'

/** Runs the program with stand-ins for systemctl and the console; what it would remove from the system is below the test's directory. */
function run(t: Test, script: FirstBoot['script'], tools: Record<string, string> = {}, screen?: { text: string, columns: number }): { proof: BootProof, console: string, left: string[] } {
  const directory = t.testdir({ boot: {}, bin: {}, units: { 'multi-user.target.wants': { 'x.service': '' }, 'x.service': '' } })
  const stand: Record<string, string> = {
    systemctl: 'case "$1" in is-system-running) echo degraded; exit 1;; list-units) echo "bad.service loaded failed failed Bad \\"thing\\""; echo "é.service loaded failed failed x";; esac',
    ip: 'echo "1: lo    inet 127.0.0.1/8 scope host lo" >/dev/null; echo "2: ens3    inet 192.0.2.10/24 brd 192.0.2.255 scope global ens3"; echo "2: ens3    inet6 2001:db8::10/64 scope global"',
    tell: 'exit 2',
    ...tools,
  }
  for (const [name, text] of Object.entries(stand)) writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  const boot = join(directory, 'boot')
  if (screen !== undefined) {
    writeFileSync(join(directory, 'vcs1'), screen.text)
    writeFileSync(join(directory, 'vcsa1'), Buffer.from([2, screen.columns, 0, 0]))
  }
  renameSync(join(directory, 'bin/tell'), join(boot, 'tell'))
  if (script !== undefined) writeFileSync(join(boot, 'script'), script.content, { mode: 0o700 })
  const console = join(directory, 'console')
  const text = firstBootProgram({ directory: boot, unit: 'x.service', waitForAddress: true, script })
    .replace('PATH=/usr/sbin', `PATH=${join(directory, 'bin')}:/usr/sbin`).replaceAll('/dev/console', console).replaceAll('/dev/vcs', join(directory, 'vcs')).replaceAll('/etc/systemd/system', join(directory, 'units'))
  writeFileSync(join(boot, 'run'), text)
  const done = spawnSync('sh', [join(boot, 'run')], { encoding: 'utf8', timeout: 30_000, env: {} })
  t.equal(done.status, 0, done.stderr)
  const line = readFileSync(console, 'utf8').split('\n').filter(l => l.startsWith('LANDFALL-BOOT '))
  t.equal(line.length, 1, 'one line on the console')
  return {
    proof: BootProof.parse(JSON.parse((line[0] ?? '').slice('LANDFALL-BOOT '.length))), console: readFileSync(console, 'utf8'),
    left: [boot, join(directory, 'units/x.service'), join(directory, 'units/multi-user.target.wants/x.service')].filter(path => existsSync(path)),
  }
}

t.test('the report says what the system is, and nothing of the unit is left', async t => {
  const { proof, left } = run(t, undefined)
  t.match(proof, { hostName: execFileSync('hostname', { encoding: 'utf8' }).trim(), systemState: 'degraded', failedUnits: ['bad.service', 'é.service'], addresses: ['192.0.2.10', '2001:db8::10'], scriptOutput: '' })
  t.equal(proof.scriptExitCode, undefined)
  t.match(proof.bootedAtUtc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  t.same(left, [])
})

t.test('each gateway is asked for, so that neighbours learn the new MAC address', async t => {
  const asked = join(tmpdir(), `landfall-asked-${String(process.pid)}`)
  t.teardown(() => { rmSync(asked, { force: true }) })
  const { proof } = run(t, undefined, {
    ip: 'case "$*" in *route*) printf "default via 192.0.2.1 dev ens3\\ndefault via 198.51.100.1 dev ens4 metric 200\\ndefault dev tun0 scope link\\n";; *) echo "2: ens3    inet 192.0.2.10/24 scope global ens3";; esac',
    ping: `echo "$*" >> ${asked}; exit 1`,
  })
  t.strictSame(readFileSync(asked, 'utf8').trim().split('\n'), ['-c 1 -W 1 192.0.2.1', '-c 1 -W 1 198.51.100.1'])
  t.strictSame(proof.addresses, ['192.0.2.10'], 'one that does not answer changes nothing')
})

t.test('any output of the user\'s script arrives exactly, what is no UTF-8 as replacement characters, and the console line is ASCII', async t => {
  const bytes = 'quote " back \\\\ tab \\t bell \\007 del \\177 \\303\\251 \\342\\202\\254 \\360\\237\\232\\200 broken \\377 \\303( \\355\\240\\200 \\360\\202 cut \\342\\202'
  const { proof, console } = run(t, { content: `printf '${bytes}'`, arguments: [], timeoutMs: 10_000 })
  const expected = new TextDecoder().decode(execFileSync('sh', ['-c', `printf '${bytes}'`]))
  t.equal(proof.scriptOutput, expected)
  t.match(console, /^[\n\x20-\x7e]*$/)
})

t.test('arguments reach the script exactly, and its exit code the report', async t => {
  const args = ['a b', '', '$HOME `id` \\ "q"', 'it\'s', '*', '-n', 'line\nbreak']
  const { proof } = run(t, { content: 'for a in "$@"; do printf "[%s]" "$a"; done; exit 7', arguments: args, timeoutMs: 10_000 })
  t.equal(proof.scriptOutput, args.map(a => `[${a}]`).join(''))
  t.equal(proof.scriptExitCode, 7)
})

t.test('what the console shows is kept, row by row; without a screen the end of the kernel\'s messages', async t => {
  const rows = ['Debian 12 db01 tty1', '', 'db01 login: "\\', '', '']
  const { proof } = run(t, undefined, {}, { text: rows.map(row => row.padEnd(40)).join(''), columns: 40 })
  t.equal(proof.console, `${rows.slice(0, 3).join('\n')}\n`)
  t.equal(run(t, undefined, { dmesg: 'for i in $(seq 1 40); do echo "[ $i] line"; done' }).proof.console, Array.from({ length: 25 }, (_, i) => `[ ${String(i + 16)}] line\n`).join(''))
  t.equal(run(t, undefined, { dmesg: 'exit 1' }).proof.console, '')
  t.equal(run(t, undefined, {}, { text: 'x'.repeat(200 * 60), columns: 200 }).proof.console?.length, 4096)
})

t.test('a script with an interpreter line runs with it', async t => {
  const { proof } = run(t, { content: '#!/usr/bin/env -S awk -f\nBEGIN { print "from awk" }\n', arguments: [], timeoutMs: 10_000 })
  t.equal(proof.scriptOutput, 'from awk\n')
})

t.test('a script that does not end is ended, and that is reported', async t => {
  const { proof } = run(t, { content: 'echo begun; sleep 25', arguments: [], timeoutMs: 1000 })
  t.equal(proof.scriptOutput, 'begun\n')
  t.equal(proof.scriptExitCode, 124)
})

t.test('output is cut at 4 KiB', async t => {
  const { proof } = run(t, { content: 'head -c 10000 /dev/zero | tr "\\0" x', arguments: [], timeoutMs: 10_000 })
  t.equal(proof.scriptOutput.length, 4096)
})

t.test('the report goes to VMware tools when they are there, and to our own program where they are not, or fail', async t => {
  const file = join(t.testdirName, 'said')
  const { proof } = run(t, undefined, { 'vmware-rpctool': `printf '%s' "$1" > ${file}` })
  const said = readFileSync(file, 'utf8')
  t.ok(said.startsWith('info-set guestinfo.landfall.boot {'))
  t.same(JSON.parse(said.slice('info-set guestinfo.landfall.boot '.length)), proof)
  for (const tools of [{}, { 'vmware-rpctool': 'exit 1' }]) {
    const own = run(t, undefined, { ...tools, tell: `cat > ${file}` })
    t.same(JSON.parse(readFileSync(file, 'utf8')), own.proof)
    t.same(own.left, [])
  }
})

t.test('a host that refuses is told again, one that is none is not', async t => {
  const file = join(t.testdirName, 'tries')
  const again = run(t, undefined, { sleep: 'exit 0', tell: `echo >> ${file}; [ $(wc -l < ${file}) -ge 5 ]` })
  t.equal(readFileSync(file, 'utf8').length, 5)
  t.same(again.left, [])
  run(t, undefined, { sleep: 'exit 0', tell: `echo >> ${file}; exit 1` })
  t.equal(readFileSync(file, 'utf8').length, 91, 'not for ever')
  for (const code of [2, 126]) {
    run(t, undefined, { sleep: 'exit 0', tell: `echo >> ${file}; exit ${String(code)}` })
    t.equal(readFileSync(file, 'utf8').length, 1)
  }
})

t.test('the program is POSIX shell: dash reads it, and every word is quoted as it is', async t => {
  const text = firstBootProgram({ directory: '/var/lib/x', unit: 'x.service', waitForAddress: false, script: { content: 'x', arguments: ['\'; rm -rf /'], timeoutMs: 1000 } })
  t.equal(spawnSync('dash', ['-n'], { input: text }).status, 0)
  for (const word of ['', 'a\'b', '\'\'', '$(x)', '\n', '\\']) t.equal(execFileSync('sh', ['-c', `printf %s ${shellWord(word)}`], { encoding: 'utf8' }), word)
})

t.test('the unit does not hold up the boot and waits for the network', async t => {
  const unit = firstBootUnit({ directory: '/var/lib/x', unit: 'x.service' })
  for (const line of ['Type=simple', 'After=network-online.target', 'WantedBy=multi-user.target', 'ExecStart=/bin/sh /var/lib/x/run']) t.ok(unit.split('\n').includes(line), line)
})

t.test('without systemd an init script starts the program in the background, and goes with it', async t => {
  const directory = t.testdir({ place: {} })
  const script = join(directory, 'landfall-first-boot')
  writeFileSync(script, firstBootInitScript({ directory: join(directory, 'place') }))
  execFileSync('sh', [script, 'start'], { timeout: 10_000 })
  t.same(readdirSync(join(directory, 'place')), [], 'without the program nothing happens')
  writeFileSync(join(directory, 'place/run'), `echo ran > ${directory}/ran.new; mv ${directory}/ran.new ${directory}/ran\n`)
  execFileSync('sh', [script, 'stop'], { timeout: 10_000 })
  execFileSync('sh', [script, 'start'], { timeout: 10_000 })
  const deadline = Date.now() + 30_000
  while (!existsSync(join(directory, 'ran')) && Date.now() < deadline) await new Promise(resolve => { setTimeout(resolve, 20) })
  t.equal(readFileSync(join(directory, 'ran'), 'utf8'), 'ran\n')
  t.match(firstBootProgram({ directory: '/d', unit: 'u', waitForAddress: false, script: undefined, remove: ['/etc/init.d/x', '/etc/rc3.d/S99x'] }), /\nrm -f \/etc\/init\.d\/x\nrm -f \/etc\/rc3\.d\/S99x\n/)
})
