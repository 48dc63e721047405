import t from 'tap'
import { AppError } from '../../../src/errors/app-error.ts'
import { faultError, faultOfMethodFault, faultOfSoapError, faultType, VimFault } from '../../../src/hypervisor/vsphere-faults.ts'

const soapError = (detail: Record<string, unknown>, faultstring: unknown = 'text'): unknown =>
  Object.assign(new Error('soap'), { root: { Envelope: { Body: { Fault: { faultcode: 'ServerFaultCode', faultstring, detail } } } } })

t.test('a fault is named by its type attribute with either prefix, else by its element', async t => {
  t.equal(faultOfSoapError(soapError({ InvalidLoginFault: { attributes: { 'xsi:type': 'InvalidLogin' } } }))?.fault, 'InvalidLogin')
  t.equal(faultOfSoapError(soapError({ InvalidLoginFault: { attributes: { '_XMLSchema-instance:type': 'vim25:InvalidLogin' } } }))?.fault, 'InvalidLogin')
  t.equal(faultOfSoapError(soapError({ NotAuthenticatedFault: {} }, { $value: '' }))?.fault, 'NotAuthenticated')
  t.equal(faultOfSoapError(new Error('no fault')), undefined)
})

t.test('each fault gets its code by type, and the text does not matter', async t => {
  const codes = {
    InvalidLogin: 'VSPHERE_LOGIN', NoPermission: 'VSPHERE_PERMISSION', ManagedObjectNotFound: 'VSPHERE_NOT_FOUND', FileAlreadyExists: 'VSPHERE_EXISTS', FileLocked: 'VSPHERE_BUSY',
    TaskInProgress: 'VSPHERE_BUSY', NoDiskSpace: 'VSPHERE_NO_SPACE', InvalidPowerState: 'VSPHERE_STATE', HostNotConnected: 'VSPHERE_UNREACHABLE', SomethingNew: 'VSPHERE_FAULT',
  } as const
  for (const [fault, code] of Object.entries(codes)) t.equal(faultError(new VimFault(fault, 'InvalidLogin FileLocked'), 'do it').code, code, fault)
})

t.test('the error says what was tried, why it was refused, and the privilege that is missing', async t => {
  const fault = faultOfSoapError(soapError({ NoPermissionFault: { attributes: { 'xsi:type': 'NoPermission' }, object: { attributes: { type: 'Datastore' }, $value: 'ds-1' }, privilegeId: 'Datastore.AllocateSpace' } }, 'Permission denied'))
  if (fault === undefined) throw new Error('no fault')
  t.equal(faultError(fault, 'create the disk [a] b.vmdk').message,
    'cannot create the disk [a] b.vmdk: the account lacks a privilege (NoPermission: Permission denied (Datastore.AllocateSpace))')
})

t.test('the fault of a task is read the same way', async t => {
  const fault = faultOfMethodFault({ fault: { attributes: { 'xsi:type': 'FileLocked' }, file: '[a] b.vmdk' }, localizedMessage: 'Unable to access file' })
  t.equal(fault.fault, 'FileLocked')
  t.strictSame(fault.fields, { file: '[a] b.vmdk' })
  t.equal(faultOfMethodFault(undefined).fault, 'MethodFault')
})

t.test('the type of the fault behind an error can be asked for', async t => {
  t.equal(faultType(faultError(new VimFault('FileLocked', ''), 'x')), 'FileLocked')
  t.equal(faultType(new AppError('INTERNAL', 'x')), undefined)
})
