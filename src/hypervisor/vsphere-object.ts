import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { fieldsOf, isA, OPERATIONS, parseField, type Field, type FieldName, type OperationName, type TypeName } from './vsphere-types.ts'

const XSD = 'http://www.w3.org/2001/XMLSchema'
const TYPE = 'xsi:type'

/** A reference to a managed object, in the form in which node-soap reads and writes it. */
export const Ref = z.object({ attributes: z.object({ type: z.string() }), $value: z.string() })
export type Ref = z.infer<typeof Ref>

/** An object of the type table, ready to be sent. */
export interface VimObject { readonly attributes: Readonly<Record<string, string>>, readonly [field: string]: unknown }
export type VimValue = string | number | boolean | Ref | VimObject | readonly VimValue[] | undefined

/** An answer of the server, checked. @throws {AppError} VSPHERE_FAULT when it has another form; `doing` completes "cannot …" */
export function readAnswer<T>(schema: z.ZodType<T>, answer: unknown, doing: string): T {
  const read = schema.safeParse(answer)
  if (!read.success) throw new AppError('VSPHERE_FAULT', `cannot ${doing}: the VMware server answered in a form that is not known`, { cause: read.error })
  return read.data
}

/** A reference of this type and id. */
export function ref(type: string, id: string): Ref {
  return { attributes: { type }, $value: id }
}

/**
 * An object of the type table with its fields in the order of the schema, which vCenter demands and no simulator checks. Fields whose value
 * is undefined are left out. Throws a plain Error for a field that the type has not, one that is missing, or one of another type.
 */
export function vim<T extends TypeName>(type: T, fields: Readonly<Partial<Record<FieldName<T>, VimValue>>>): VimObject {
  return { attributes: { [TYPE]: type }, ...ordered(type, fieldsOf(type), fields) }
}

/** The arguments of an operation in order, checked like an object. */
export function request(operation: OperationName, self: Ref, fields: Readonly<Record<string, VimValue>>): Record<string, unknown> {
  const expected = [parseField('_this', 'ref'), ...Object.entries(OPERATIONS[operation].fields).map(([n, s]: [string, string]) => parseField(n, s))]
  return ordered(operation, expected, { _this: self, ...fields })
}

/** A string where the schema says anyType: node-soap declares the prefix of schema types nowhere, so it stands on the element itself. */
export function anyString(value: string): VimObject {
  return { attributes: { [TYPE]: 'xsd:string', 'xmlns:xsd': XSD }, $value: value }
}

function ordered(what: string, expected: readonly Field[], fields: Readonly<Record<string, VimValue>>): Record<string, unknown> {
  const unknown = Object.keys(fields).find(name => !expected.some(f => f.name === name))
  if (unknown !== undefined) throw new Error(`${what} has no field ${unknown}`)
  const out: Record<string, unknown> = {}
  for (const field of expected) {
    const value = fields[field.name]
    if (value === undefined) {
      if (!field.optional) throw new Error(`${what} needs the field ${field.name}`)
      continue
    }
    checkValue(`${what}.${field.name}`, field, value)
    out[field.name] = value
  }
  return out
}

function checkValue(what: string, field: Field, value: unknown): void {
  if (field.many !== Array.isArray(value)) throw new Error(`${what} ${field.many ? 'is' : 'is not'} a list`)
  const each: readonly unknown[] = Array.isArray(value) ? value : [value]
  for (const one of each) if (!fits(field.type, one)) throw new Error(`${what} is not of type ${field.type}`)
}

function fits(type: string, value: unknown): boolean {
  switch (type) {
    case 'string': case 'dateTime': return typeof value === 'string'
    case 'boolean': return typeof value === 'boolean'
    case 'int': case 'long': return Number.isSafeInteger(value)
    case 'ref': return Ref.safeParse(value).success
    case 'anyType': return typeOf(value) !== undefined
    default: return isA(typeOf(value) ?? '', type)
  }
}

/** The schema type that an object says it has (`xsi:type`), without its prefix. */
export function typeOf(value: unknown): string | undefined {
  return rawTypeOf(value)?.replace(/^.*:/, '')
}

function rawTypeOf(value: unknown): string | undefined {
  if (!isRecord(value) || !isRecord(value['attributes'])) return undefined
  const type = value['attributes'][TYPE]
  return typeof type === 'string' ? type : undefined
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/**
 * An answer with the type attribute under one name everywhere: vCenter writes `xsi:type`, the simulator `_XMLSchema-instance:type`, and
 * node-soap keeps whichever prefix came. The attribute `type` of references stays.
 */
export function norm(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(norm)
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => key === 'attributes' && isRecord(inner)
    ? [key, Object.fromEntries(Object.entries(inner).map(([name, text]) => [/:type$/.test(name) ? TYPE : name, text]))]
    : [key, norm(inner)]))
}

/**
 * The value of an anyType (a property, a task's result) after `norm`: node-soap leaves those as text with attributes. Lists (`ArrayOfX`)
 * become arrays, numbers numbers (a long beyond 2^53 a bigint), enumerations strings; objects and references stay what they are.
 */
export function decode(value: unknown): unknown {
  const type = rawTypeOf(value)
  if (type === undefined || !isRecord(value)) return value
  const name = type.replace(/^.*:/, '')
  if (/^(xsd|xs):/.test(type)) return decodeSimple(name, value['$value'])
  if (name.startsWith('ArrayOf')) {
    const items = Object.entries(value).find(([key]) => key !== 'attributes')?.[1]
    return items === undefined ? [] : Array.isArray(items) ? items : [items]
  }
  if (name === 'ManagedObjectReference') return Ref.parse(value)
  return '$value' in value ? value['$value'] : value
}

function decodeSimple(name: string, text: unknown): unknown {
  switch (name) {
    case 'boolean': return text === 'true' || text === '1' || text === true
    case 'byte': case 'short': case 'int': case 'float': case 'double': return Number(text)
    case 'long': {
      const number = Number(text)
      return Number.isSafeInteger(number) ? number : BigInt(String(text))
    }
    case 'dateTime': return new Date(String(text))
    default: return text ?? ''
  }
}
