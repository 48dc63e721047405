import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openCertificateAuthority } from '../../../src/trust/certificate-authority.ts'
import { caSha256, makeKeyAndCsr } from '../../../src/trust/key.ts'

const DAY_MS = 86_400_000
const NOW = Date.now()

t.test('an authority is the same one when it is opened again', async t => {
  const directory = join(t.testdir(), 'ca')
  const first = await openCertificateAuthority(directory, NOW)
  const second = await openCertificateAuthority(directory, NOW)
  t.equal(second.sha256, first.sha256)
  t.match(first.sha256, /^[0-9a-f]{64}$/)
  const { csrPem } = await makeKeyAndCsr('x')
  t.ok(new X509Certificate(await second.issueAgent(csrPem, 'a')).verify(new X509Certificate(first.certificatePem).publicKey))
})

t.test('its files are whole and for the owner only', async t => {
  const directory = join(t.testdir(), 'ca')
  await openCertificateAuthority(directory, NOW)
  const files = await readdir(directory)
  t.same(files.toSorted(), ['ca.crt', 'ca.key'], 'nothing is left beside them')
  for (const file of files) t.equal((await stat(join(directory, file))).mode & 0o777, 0o600, file)
})

t.test('two authorities are different', async t => {
  const root = t.testdir()
  t.not((await openCertificateAuthority(join(root, 'a'), NOW)).sha256, (await openCertificateAuthority(join(root, 'b'), NOW)).sha256)
})

t.test('a certificate of a server names its hosts and addresses and carries the chain', async t => {
  const authority = await openCertificateAuthority(t.testdir(), NOW)
  const { certificatePem } = await authority.issueServer(['appliance.example', '192.0.2.1', '2001:db8::1'])
  const leaf = new X509Certificate(certificatePem)
  t.equal(leaf.checkHost('appliance.example'), 'appliance.example')
  t.equal(leaf.checkIP('192.0.2.1'), '192.0.2.1')
  t.equal(leaf.checkIP('2001:db8::1'), '2001:db8::1')
  t.notOk(leaf.ca)
  t.same(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  t.ok(leaf.checkIssued(new X509Certificate(authority.certificatePem)))
  t.ok(certificatePem.endsWith(authority.certificatePem))
})

t.test('a certificate of an agent has the name that the authority gives, whatever was asked for', async t => {
  const authority = await openCertificateAuthority(t.testdir(), NOW)
  const { csrPem } = await makeKeyAndCsr('somebody else')
  const certificate = new X509Certificate(await authority.issueAgent(csrPem, 'source-7'))
  t.equal(certificate.subject, 'CN=source-7')
  t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  t.notOk(certificate.ca)
  const other = new X509Certificate(await authority.issueAgent(csrPem, 'source-7'))
  t.not(other.serialNumber, certificate.serialNumber)
})

t.test('the authority is valid for ten years, what it signs for more than one', async t => {
  const authority = await openCertificateAuthority(t.testdir(), NOW)
  const years = (pem: string): number => (new Date(new X509Certificate(pem).validTo).getTime() - NOW) / (365 * DAY_MS)
  t.ok(years(authority.certificatePem) > 9.9)
  const { csrPem } = await makeKeyAndCsr('x')
  t.ok(years(await authority.issueAgent(csrPem, 'a')) > 1)
  t.ok(new Date(new X509Certificate(authority.certificatePem).validFrom).getTime() < NOW, 'also for a clock that is an hour behind')
})

t.test('a request that is no request, or was changed, is refused with REQUEST_INVALID', async t => {
  const authority = await openCertificateAuthority(t.testdir(), NOW)
  const { csrPem } = await makeKeyAndCsr('x')
  const der = Buffer.from(csrPem.replace(/-----[^-]+-----/g, ''), 'base64')
  const last = der.length - 1
  der.writeUInt8(der.readUInt8(last) ^ 1, last)
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  for (const [title, pem] of Object.entries({ 'empty': '', 'no PEM': 'hello', 'a certificate': authority.certificatePem, 'a wrong signature': forged })) {
    await t.rejects(authority.issueAgent(pem, 'a'), { code: 'REQUEST_INVALID' }, title)
  }
})

t.test('a damaged authority is not replaced by a new one', async t => {
  const directory = t.testdir()
  const { sha256 } = await openCertificateAuthority(directory, NOW)
  await writeFile(join(directory, 'ca.key'), 'broken')
  await t.rejects(openCertificateAuthority(directory, NOW))
  t.equal(caSha256(await readFile(join(directory, 'ca.crt'), 'utf8')), sha256)
})
