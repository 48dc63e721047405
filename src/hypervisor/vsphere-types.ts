/**
 * The part of the vSphere API (namespace vim25) that we speak, once: data types and operations with their fields in the order of the public
 * API reference, which is the order the server demands. The WSDL, the ordered constructor and their types all come from this table.
 * A field is `type`, `type?` (may be absent) or `type*` (any number); `ref` is a ManagedObjectReference. Fields that we neither send nor
 * read are left out; those that stay keep their order, and a type's own fields follow those of its `base`.
 */
interface TypeEntry { readonly base?: string, readonly fields: Readonly<Record<string, string>> }

export const TYPES = {
  // the service
  AboutInfo: { fields: { name: 'string', fullName: 'string', vendor: 'string', version: 'string', build: 'string', apiType: 'string', apiVersion: 'string', instanceUuid: 'string?' } },
  ServiceContent: { fields: {
    rootFolder: 'ref', propertyCollector: 'ref', viewManager: 'ref?', about: 'AboutInfo', sessionManager: 'ref?', fileManager: 'ref?', virtualDiskManager: 'ref?',
  } },
  UserSession: { fields: { key: 'string', userName: 'string', fullName: 'string', loginTime: 'dateTime', lastActiveTime: 'dateTime', locale: 'string', messageLocale: 'string' } },
  LocalizedMethodFault: { fields: { fault: 'MethodFault', localizedMessage: 'string?' } },
  MethodFault: { fields: { faultCause: 'LocalizedMethodFault?' } },
  // properties
  PropertySpec: { fields: { type: 'string', all: 'boolean?', pathSet: 'string*' } },
  SelectionSpec: { fields: { name: 'string?' } },
  TraversalSpec: { base: 'SelectionSpec', fields: { type: 'string', path: 'string', skip: 'boolean?', selectSet: 'SelectionSpec*' } },
  ObjectSpec: { fields: { obj: 'ref', skip: 'boolean?', selectSet: 'SelectionSpec*' } },
  PropertyFilterSpec: { fields: { propSet: 'PropertySpec*', objectSet: 'ObjectSpec*', reportMissingObjectsInResults: 'boolean?' } },
  RetrieveOptions: { fields: { maxObjects: 'int?' } },
  RetrieveResult: { fields: { token: 'string?', objects: 'ObjectContent*' } },
  ObjectContent: { fields: { obj: 'ref', propSet: 'DynamicProperty*', missingSet: 'MissingProperty*' } },
  DynamicProperty: { fields: { name: 'string', val: 'anyType' } },
  MissingProperty: { fields: { path: 'string', fault: 'LocalizedMethodFault' } },
  WaitOptions: { fields: { maxWaitSeconds: 'int?', maxObjectUpdates: 'int?' } },
  UpdateSet: { fields: { version: 'string', filterSet: 'PropertyFilterUpdate*', truncated: 'boolean?' } },
  PropertyFilterUpdate: { fields: { filter: 'ref', objectSet: 'ObjectUpdate*', missingSet: 'MissingObject*' } },
  MissingObject: { fields: { obj: 'ref', fault: 'LocalizedMethodFault' } },
  ObjectUpdate: { fields: { kind: 'string', obj: 'ref', changeSet: 'PropertyChange*', missingSet: 'MissingProperty*' } },
  PropertyChange: { fields: { name: 'string', op: 'string', val: 'anyType?' } },
  ArrayOfManagedObjectReference: { fields: { ManagedObjectReference: 'ref*' } },
  // files and disks
  VirtualDiskSpec: { fields: { diskType: 'string', adapterType: 'string' } },
  FileBackedVirtualDiskSpec: { base: 'VirtualDiskSpec', fields: { capacityKb: 'long' } },
  FileQuery: { fields: {} },
  FileQueryFlags: { fields: { fileType: 'boolean', fileSize: 'boolean', modification: 'boolean', fileOwner: 'boolean?' } },
  VmDiskFileQueryFlags: { fields: { diskType: 'boolean', capacityKb: 'boolean', hardwareVersion: 'boolean', controllerType: 'boolean?', diskExtents: 'boolean?', thin: 'boolean?' } },
  VmDiskFileQuery: { base: 'FileQuery', fields: { details: 'VmDiskFileQueryFlags?' } },
  HostDatastoreBrowserSearchSpec: { fields: { query: 'FileQuery*', details: 'FileQueryFlags?', searchCaseInsensitive: 'boolean?', matchPattern: 'string*', sortFoldersFirst: 'boolean?' } },
  FileInfo: { fields: { path: 'string', friendlyName: 'string?', fileSize: 'long?', modification: 'dateTime?', owner: 'string?' } },
  FolderFileInfo: { base: 'FileInfo', fields: {} },
  VmDiskFileInfo: { base: 'FileInfo', fields: { diskType: 'string?', capacityKb: 'long?', hardwareVersion: 'int?', controllerType: 'string?', diskExtents: 'string*', thin: 'boolean?' } },
  HostDatastoreBrowserSearchResults: { fields: { datastore: 'ref?', folderPath: 'string?', file: 'FileInfo*' } },
  VirtualMachineFileLayoutExFileInfo: { fields: { key: 'int', name: 'string', type: 'string', size: 'long' } },
  ArrayOfVirtualMachineFileLayoutExFileInfo: { fields: { VirtualMachineFileLayoutExFileInfo: 'VirtualMachineFileLayoutExFileInfo*' } },
  // devices
  Description: { fields: { label: 'string', summary: 'string' } },
  VirtualDeviceBackingInfo: { fields: {} },
  VirtualDeviceFileBackingInfo: { base: 'VirtualDeviceBackingInfo', fields: { fileName: 'string', datastore: 'ref?', backingObjectId: 'string?' } },
  VirtualDiskFlatVer2BackingInfo: { base: 'VirtualDeviceFileBackingInfo', fields: {
    diskMode: 'string', split: 'boolean?', writeThrough: 'boolean?', thinProvisioned: 'boolean?', eagerlyScrub: 'boolean?', uuid: 'string?', contentId: 'string?', changeId: 'string?',
    parent: 'VirtualDiskFlatVer2BackingInfo?',
  } },
  VirtualDeviceDeviceBackingInfo: { base: 'VirtualDeviceBackingInfo', fields: { deviceName: 'string', useAutoDetect: 'boolean?' } },
  VirtualEthernetCardNetworkBackingInfo: { base: 'VirtualDeviceDeviceBackingInfo', fields: { network: 'ref?', inPassthroughMode: 'boolean?' } },
  DistributedVirtualSwitchPortConnection: { fields: { switchUuid: 'string', portgroupKey: 'string?', portKey: 'string?', connectionCookie: 'int?' } },
  VirtualEthernetCardDistributedVirtualPortBackingInfo: { base: 'VirtualDeviceBackingInfo', fields: { port: 'DistributedVirtualSwitchPortConnection' } },
  VirtualDeviceConnectInfo: { fields: { startConnected: 'boolean', allowGuestControl: 'boolean', connected: 'boolean', status: 'string?' } },
  VirtualDevice: { fields: { key: 'int', deviceInfo: 'Description?', backing: 'VirtualDeviceBackingInfo?', connectable: 'VirtualDeviceConnectInfo?', controllerKey: 'int?', unitNumber: 'int?' } },
  VirtualDisk: { base: 'VirtualDevice', fields: { capacityInKB: 'long', capacityInBytes: 'long?' } },
  VirtualController: { base: 'VirtualDevice', fields: { busNumber: 'int', device: 'int*' } },
  VirtualSCSIController: { base: 'VirtualController', fields: { hotAddRemove: 'boolean?', sharedBus: 'string', scsiCtlrUnitNumber: 'int?' } },
  ParaVirtualSCSIController: { base: 'VirtualSCSIController', fields: {} },
  VirtualLsiLogicController: { base: 'VirtualSCSIController', fields: {} },
  VirtualLsiLogicSASController: { base: 'VirtualSCSIController', fields: {} },
  VirtualBusLogicController: { base: 'VirtualSCSIController', fields: {} },
  VirtualEthernetCard: { base: 'VirtualDevice', fields: { addressType: 'string?', macAddress: 'string?', wakeOnLanEnabled: 'boolean?' } },
  VirtualVmxnet: { base: 'VirtualEthernetCard', fields: {} },
  VirtualVmxnet3: { base: 'VirtualVmxnet', fields: {} },
  VirtualE1000: { base: 'VirtualEthernetCard', fields: {} },
  VirtualE1000e: { base: 'VirtualEthernetCard', fields: {} },
  ArrayOfVirtualDevice: { fields: { VirtualDevice: 'VirtualDevice*' } },
  VirtualDeviceConfigSpec: { fields: { operation: 'string?', fileOperation: 'string?', device: 'VirtualDevice' } },
  // virtual machines
  OptionValue: { fields: { key: 'string', value: 'anyType' } },
  ArrayOfOptionValue: { fields: { OptionValue: 'OptionValue*' } },
  VirtualMachineFileInfo: { fields: { vmPathName: 'string?', snapshotDirectory: 'string?', suspendDirectory: 'string?', logDirectory: 'string?' } },
  VirtualMachineBootOptions: { fields: { bootDelay: 'long?', enterBIOSSetup: 'boolean?', efiSecureBootEnabled: 'boolean?' } },
  VirtualMachineConfigSpec: { fields: {
    changeVersion: 'string?', name: 'string?', version: 'string?', uuid: 'string?', instanceUuid: 'string?', guestId: 'string?', alternateGuestName: 'string?', annotation: 'string?',
    files: 'VirtualMachineFileInfo?', numCPUs: 'int?', numCoresPerSocket: 'int?', memoryMB: 'long?', deviceChange: 'VirtualDeviceConfigSpec*',
    extraConfig: 'OptionValue*', bootOptions: 'VirtualMachineBootOptions?', firmware: 'string?',
  } },
  VirtualMachineQuestionInfo: { fields: { id: 'string', text: 'string' } },
} as const satisfies Record<string, TypeEntry>

/** The operations: fields after `_this`, and what comes back. */
export const OPERATIONS = {
  RetrieveServiceContent: { fields: {}, returns: 'ServiceContent' },
  Login: { fields: { userName: 'string', password: 'string', locale: 'string?' }, returns: 'UserSession' },
  Logout: { fields: {} },
  CreateContainerView: { fields: { container: 'ref', type: 'string*', recursive: 'boolean' }, returns: 'ref' },
  DestroyView: { fields: {} },
  RetrievePropertiesEx: { fields: { specSet: 'PropertyFilterSpec*', options: 'RetrieveOptions' }, returns: 'RetrieveResult?' },
  ContinueRetrievePropertiesEx: { fields: { token: 'string' }, returns: 'RetrieveResult' },
  CreatePropertyCollector: { fields: {}, returns: 'ref' },
  DestroyPropertyCollector: { fields: {} },
  CreateFilter: { fields: { spec: 'PropertyFilterSpec', partialUpdates: 'boolean' }, returns: 'ref' },
  WaitForUpdatesEx: { fields: { version: 'string?', options: 'WaitOptions?' }, returns: 'UpdateSet?' },
  CancelTask: { fields: {} },
  MakeDirectory: { fields: { name: 'string', datacenter: 'ref?', createParentDirectories: 'boolean?' } },
  DeleteDatastoreFile_Task: { fields: { name: 'string', datacenter: 'ref?' }, returns: 'ref' },
  SearchDatastore_Task: { fields: { datastorePath: 'string', searchSpec: 'HostDatastoreBrowserSearchSpec?' }, returns: 'ref' },
  CreateVirtualDisk_Task: { fields: { name: 'string', datacenter: 'ref?', spec: 'VirtualDiskSpec' }, returns: 'ref' },
  DeleteVirtualDisk_Task: { fields: { name: 'string', datacenter: 'ref?' }, returns: 'ref' },
  CopyVirtualDisk_Task: { fields: { sourceName: 'string', sourceDatacenter: 'ref?', destName: 'string', destDatacenter: 'ref?', destSpec: 'VirtualDiskSpec?', force: 'boolean?' }, returns: 'ref' },
  CreateVM_Task: { fields: { config: 'VirtualMachineConfigSpec', pool: 'ref', host: 'ref?' }, returns: 'ref' },
  ReconfigVM_Task: { fields: { spec: 'VirtualMachineConfigSpec' }, returns: 'ref' },
  PowerOnVM_Task: { fields: { host: 'ref?' }, returns: 'ref' },
  PowerOffVM_Task: { fields: {}, returns: 'ref' },
  UnregisterVM: { fields: {} },
} as const satisfies Record<string, { fields: Readonly<Record<string, string>>, returns?: string }>

export type TypeName = keyof typeof TYPES
export type OperationName = keyof typeof OPERATIONS

type BaseOf<T extends TypeName> = (typeof TYPES)[T] extends { base: infer B extends TypeName } ? B : never
/** The fields of a type, those of its bases included. */
export type FieldName<T extends TypeName> = (keyof (typeof TYPES)[T]['fields'] & string) | ([BaseOf<T>] extends [never] ? never : FieldName<BaseOf<T>>)

export interface Field { readonly name: string, readonly type: string, readonly optional: boolean, readonly many: boolean }

/** Reads the short form `type`, `type?`, `type*`. */
export function parseField(name: string, short: string): Field {
  const last = short.at(-1)
  const marked = last === '?' || last === '*'
  return { name, type: marked ? short.slice(0, -1) : short, optional: marked, many: last === '*' }
}

/** The entry of a type, if the table has it. */
export function typeEntry(name: string): TypeEntry | undefined {
  const table: Readonly<Record<string, TypeEntry>> = TYPES
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/** All fields of a type in the order of the schema: those of the base first. */
export function fieldsOf(type: string): readonly Field[] {
  const entry = typeEntry(type)
  if (entry === undefined) throw new Error(`the type table has no ${type}`)
  return [...entry.base === undefined ? [] : fieldsOf(entry.base), ...Object.entries(entry.fields).map(([n, s]) => parseField(n, s))]
}

/** Whether `type` is `base` or derives from it. */
export function isA(type: string, base: string): boolean {
  return type === base || (typeEntry(type)?.base !== undefined && isA(typeEntry(type)?.base ?? '', base))
}
