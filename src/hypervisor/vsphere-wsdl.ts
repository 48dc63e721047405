import { fieldsOf, OPERATIONS, parseField, TYPES, type Field } from './vsphere-types.ts'

/** The API version asked for (it travels in SOAPAction): 6.5 is the oldest server we support, and newer ones serve it. */
const API_VERSION = '6.5'

const SIMPLE = new Set(['string', 'int', 'long', 'boolean', 'dateTime', 'anyType'])

/**
 * The WSDL of our part of the API, written from the type table. Servers serve their own, but only some do, it costs a second and 60 MB, and
 * it differs by version. Types are written flat, with the fields of their bases in front: node-soap orders the keys of an object by its
 * declared type, and gets chains of extensions wrong (its issue 1530).
 */
export function vsphereWsdl(): string {
  const types = Object.keys(TYPES).map(name => complexType(name, fieldsOf(name)))
  const operations = Object.entries(OPERATIONS)
  const elements = operations.map(([name, op]) => {
    const input = [parseField('_this', 'ref'), ...Object.entries(op.fields).map(([n, s]) => parseField(n, s))]
    const output = 'returns' in op ? [parseField('returnval', op.returns)] : []
    return `${complexType(`${name}RequestType`, input)}<element name="${name}" type="vim25:${name}RequestType"/>`
      + `<element name="${name}Response"><complexType>${sequence(output)}</complexType></element>`
  })
  const messages = operations.map(([name]) =>
    `<message name="${name}RequestMsg"><part name="parameters" element="vim25:${name}"/></message>`
    + `<message name="${name}ResponseMsg"><part name="parameters" element="vim25:${name}Response"/></message>`)
  const ports = operations.map(([name]) =>
    `<operation name="${name}"><input message="vim25:${name}RequestMsg"/><output message="vim25:${name}ResponseMsg"/></operation>`)
  const bindings = operations.map(([name]) =>
    `<operation name="${name}"><soap:operation soapAction="urn:vim25/${API_VERSION}" style="document"/>`
    + '<input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>')
  return '<?xml version="1.0" encoding="UTF-8"?>'
    + '<definitions targetNamespace="urn:vim25" xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:vim25="urn:vim25">'
    + '<types><schema targetNamespace="urn:vim25" xmlns="http://www.w3.org/2001/XMLSchema" xmlns:vim25="urn:vim25" xmlns:xsd="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">'
    + '<complexType name="ManagedObjectReference"><simpleContent><extension base="xsd:string"><attribute name="type" type="xsd:string"/></extension></simpleContent></complexType>'
    + `${types.join('')}${elements.join('')}</schema></types>${messages.join('')}`
    + `<portType name="VimPortType">${ports.join('')}</portType>`
    + `<binding name="VimBinding" type="vim25:VimPortType"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>${bindings.join('')}</binding>`
    + '<service name="VimService"><port binding="vim25:VimBinding" name="VimPort"><soap:address location="https://localhost/sdk"/></port></service></definitions>'
}

function complexType(name: string, fields: readonly Field[]): string {
  return `<complexType name="${name}">${sequence(fields)}</complexType>`
}

function sequence(fields: readonly Field[]): string {
  const elements = fields.map(f =>
    `<element name="${f.name}" type="${schemaType(f.type)}"${f.optional ? ' minOccurs="0"' : ''}${f.many ? ' maxOccurs="unbounded"' : ''}/>`)
  return `<sequence>${elements.join('')}</sequence>`
}

function schemaType(type: string): string {
  if (type === 'ref') return 'vim25:ManagedObjectReference'
  return SIMPLE.has(type) ? `xsd:${type}` : `vim25:${type}`
}
