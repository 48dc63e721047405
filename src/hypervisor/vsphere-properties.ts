import { z } from 'zod'
import { faultType } from './vsphere-faults.ts'
import { decode, readAnswer, Ref, vim, type VimObject } from './vsphere-object.ts'
import type { CallOptions, VsphereSession } from './vsphere-session.ts'

/** A managed object and those of its properties that were asked for and that it has. */
export interface ManagedObject { readonly ref: Ref, readonly properties: ReadonlyMap<string, unknown> }

const PAGE = 200 // objects per answer

const RetrieveResult = z.object({
  token: z.string().optional(),
  objects: z.array(z.object({ obj: Ref, propSet: z.array(z.object({ name: z.string(), val: z.unknown().optional() })).optional() })).optional(),
})

/** Reads properties of these objects. @throws {AppError} VSPHERE_NOT_FOUND when one of them does not exist any more */
export async function readObjects(session: VsphereSession, refs: readonly Ref[], paths: readonly string[], options: CallOptions): Promise<ManagedObject[]> {
  if (refs.length === 0) return []
  const types = [...new Set(refs.map(r => r.attributes.type))]
  const propSet = types.map(type => vim('PropertySpec', { type, all: false, pathSet: paths }))
  return await retrieve(session, propSet, refs.map(obj => vim('ObjectSpec', { obj, skip: false })), options)
}

/** Reads properties of one object. @throws {AppError} VSPHERE_NOT_FOUND when it does not exist any more */
export async function readObject(session: VsphereSession, ref: Ref, paths: readonly string[], options: CallOptions): Promise<ManagedObject> {
  const [object] = await readObjects(session, [ref], paths, options)
  return object ?? { ref, properties: new Map() }
}

/** Reads properties of every object of a type below a folder, a datacenter or the like. */
export async function readAll(session: VsphereSession, type: string, below: Ref, paths: readonly string[], options: CallOptions): Promise<ManagedObject[]> {
  const before = session.logins
  try {
    return await readView(session, type, below, paths, options)
  } catch (error) {
    // The view went with the old session, or one of the objects went between listing and reading.
    if (session.logins === before && faultType(error) !== 'ManagedObjectNotFound') throw error
    return await readView(session, type, below, paths, options)
  }
}

async function readView(session: VsphereSession, type: string, below: Ref, paths: readonly string[], options: CallOptions): Promise<ManagedObject[]> {
  const view = readAnswer(Ref, await session.call('CreateContainerView', session.content.viewManager, { container: below, type: [type], recursive: true }, options), options.doing)
  try {
    const step = vim('TraversalSpec', { name: 'view', type: 'ContainerView', path: 'view', skip: false })
    return await retrieve(session, [vim('PropertySpec', { type, all: false, pathSet: paths })], [vim('ObjectSpec', { obj: view, skip: true, selectSet: [step] })], options)
  } finally {
    await session.call('DestroyView', view, {}, { ...options, signal: AbortSignal.timeout(5000) }).catch(() => undefined)
  }
}

async function retrieve(session: VsphereSession, propSet: readonly VimObject[], objectSet: readonly VimObject[], options: CallOptions): Promise<ManagedObject[]> {
  const collector = session.content.propertyCollector
  const found: ManagedObject[] = []
  let answer = await session.call('RetrievePropertiesEx', collector, {
    specSet: [vim('PropertyFilterSpec', { propSet, objectSet })], options: vim('RetrieveOptions', { maxObjects: PAGE }),
  }, options)
  while (answer !== undefined) {
    const { objects, token } = readAnswer(RetrieveResult, answer, options.doing)
    for (const { obj, propSet: set } of objects ?? []) found.push({ ref: obj, properties: new Map((set ?? []).map(p => [p.name, decode(p.val)])) })
    answer = token === undefined ? undefined : await session.call('ContinueRetrievePropertiesEx', collector, { token }, options)
  }
  return found
}
