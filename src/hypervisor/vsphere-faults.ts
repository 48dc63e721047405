/**
 * What the VMware server refuses, as our errors. Decided by the type of a fault, never by its text: the text differs by version and
 * language, and the simulator sends none. The fault stays as the cause, without the request that led to it.
 */
import { AppError } from '../errors/app-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { isRecord, norm, typeOf } from './vsphere-object.ts'

/** A fault as the server sent it: its type, its text, and its simple fields. */
export class VimFault extends Error {
  override readonly name = 'VimFault'
  readonly fault: string
  readonly fields: Readonly<Record<string, string>>

  constructor(fault: string, text: string, fields: Readonly<Record<string, string>> = {}) {
    super(text === '' ? fault : `${fault}: ${text}`)
    this.fault = fault
    this.fields = fields
  }
}

interface Meaning { code: ErrorCode, words: string }
const means = (code: ErrorCode, words: string): Meaning => ({ code, words })

const MEANINGS: Readonly<Record<string, Meaning>> = {
  InvalidLogin: means('VSPHERE_LOGIN', 'the user or the password is wrong'),
  InvalidLocale: means('VSPHERE_LOGIN', 'the login was refused'),
  NotAuthenticated: means('VSPHERE_LOGIN', 'the session is not logged in'),
  NoPermission: means('VSPHERE_PERMISSION', 'the account lacks a privilege'),
  ManagedObjectNotFound: means('VSPHERE_NOT_FOUND', 'the object does not exist any more'),
  NotFound: means('VSPHERE_NOT_FOUND', 'an object that is needed does not exist'),
  FileNotFound: means('VSPHERE_NOT_FOUND', 'the file does not exist'),
  InvalidDatastore: means('DATASTORE_NOT_FOUND', 'the datastore cannot be used'),
  InvalidDatastorePath: means('DATASTORE_NOT_FOUND', 'the datastore path cannot be used'),
  InaccessibleDatastore: means('DATASTORE_NOT_FOUND', 'the datastore cannot be reached'),
  DuplicateName: means('VSPHERE_EXISTS', 'the name is taken'),
  AlreadyExists: means('VSPHERE_EXISTS', 'it exists already'),
  FileAlreadyExists: means('VSPHERE_EXISTS', 'the file exists already'),
  TaskInProgress: means('VSPHERE_BUSY', 'another task is working on it'),
  ConcurrentAccess: means('VSPHERE_BUSY', 'it was changed by another at the same time'),
  FileLocked: means('VSPHERE_BUSY', 'the file is in use'),
  ResourceInUse: means('VSPHERE_BUSY', 'it is in use'),
  VmConfigFault: means('VSPHERE_FAULT', 'the VM cannot be configured so'),
  GenericVmConfigFault: means('VSPHERE_FAULT', 'the VM cannot be configured so'),
  InvalidDeviceSpec: means('VSPHERE_STATE', 'the slot or the device is not accepted'),
  InsufficientDiskSpace: means('VSPHERE_NO_SPACE', 'the datastore has not enough free space'),
  NoDiskSpace: means('VSPHERE_NO_SPACE', 'the datastore has not enough free space'),
  NoDiskFound: means('VSPHERE_NOT_FOUND', 'the disk does not exist'),
  FileTooLarge: means('VSPHERE_NO_SPACE', 'the file would be larger than the datastore allows'),
  InvalidPowerState: means('VSPHERE_STATE', 'the power state does not allow it'),
  InvalidState: means('VSPHERE_STATE', 'its state does not allow it'),
  InvalidHostState: means('VSPHERE_STATE', 'the state of the host does not allow it'),
  HostNotConnected: means('VSPHERE_UNREACHABLE', 'the host is not connected'),
  HostCommunication: means('VSPHERE_UNREACHABLE', 'the host does not answer'),
  HostNotReachable: means('VSPHERE_UNREACHABLE', 'the host does not answer'),
  Timedout: means('VSPHERE_TIMEOUT', 'it took too long'),
}

/**
 * The error for a fault met while `doing` ("create the disk [ds] a/b.vmdk"): what was tried, why it was refused, and the fault's own words.
 */
export function faultError(fault: VimFault, doing: string): AppError {
  const { code, words } = MEANINGS[fault.fault] ?? means('VSPHERE_FAULT', 'the VMware server refused')
  const privilege = fault.fields['privilegeId']
  const detail = privilege === undefined ? fault.message : `${fault.message} (${privilege})`
  return new AppError(code, `cannot ${doing}: ${words} (${detail})`, { cause: fault })
}

/** The type of the fault behind an error ("FileLocked"), or undefined when none is. */
export function faultType(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error
  return cause instanceof VimFault ? cause.fault : undefined
}

/** The fault in what node-soap throws for a SOAP fault, or undefined when it is no such thing. */
export function faultOfSoapError(error: unknown): VimFault | undefined {
  const fault = inside(norm(isRecord(error) ? error['root'] : undefined), 'Envelope', 'Body', 'Fault')
  if (!isRecord(fault)) return undefined
  const detail = isRecord(fault['detail']) ? Object.entries(fault['detail']).find(([key]) => key !== 'attributes') : undefined
  const name = typeOf(detail?.[1]) ?? detail?.[0].replace(/^.*:/, '').replace(/Fault$/, '')
  return new VimFault(name ?? 'SoapFault', textOf(fault['faultstring']), simpleFields(detail?.[1]))
}

/** The fault of a LocalizedMethodFault (`info.error` of a task, `missingSet` of a property), after `norm`. */
export function faultOfMethodFault(value: unknown): VimFault {
  const fault = isRecord(value) ? value['fault'] : undefined
  return new VimFault(typeOf(fault) ?? 'MethodFault', textOf(isRecord(value) ? value['localizedMessage'] : undefined), simpleFields(fault))
}

function inside(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => isRecord(at) ? at[key] : undefined, value)
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  const text = inside(value, '$value')
  return typeof text === 'string' ? text : ''
}

function simpleFields(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {}
  return Object.fromEntries(Object.entries(value).flatMap(([key, inner]) => key !== 'attributes' && textOf(inner) !== '' ? [[key, textOf(inner)]] : []))
}
