/** The little SOAP that the front needs: reading a call, writing a fault. */

export interface Call {
  method: string
  /** the request without namespace prefixes on its elements */
  xml: string
  /** managed object that the method is called on */
  self: string
}

const NAMESPACES = 'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

export function envelope(body: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope ${NAMESPACES}><soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`
}

export function parseCall(body: string): Call {
  const xml = body.replace(/<(\/?)[A-Za-z_][\w.-]*:/g, '<$1')
  return { xml, method: /<Body[^>]*>\s*<(\w+)/.exec(xml)?.[1] ?? '', self: /<_this[^>]*>([^<]*)</.exec(xml)?.[1] ?? '' }
}

export function soapFault(fault: string, message: string, detail = ''): string {
  return envelope(`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>${escapeXml(message)}</faultstring>`
    + `<detail><${fault}Fault xmlns="urn:vim25" xsi:type="${fault}">${detail}</${fault}Fault></detail></soapenv:Fault>`)
}

/** First text of an element, entities resolved. */
export function textOf(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}(?: [^>]*)?>([^<]*)</${element}>`).exec(xml)?.[1]
  return text?.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&apos;', '\'').replaceAll('&amp;', '&')
}

export function blocksOf(xml: string, element: string): string[] {
  return [...xml.matchAll(new RegExp(`<${element}(?: [^>]*)?>[\\s\\S]*?</${element}>`, 'g'))].map(m => m[0])
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A call that vcsim answers with a task that fails with FileNotFound: the front lends that task to the fault it wants to show. */
export function failingTaskCall(datacenter: string, datastore: string): string {
  return envelope(`<DeleteVirtualDisk_Task xmlns="urn:vim25"><_this type="VirtualDiskManager">virtualDiskManager</_this><name>[${escapeXml(datastore)}] no-such-folder/no-such-disk.vmdk</name>`
    + `<datacenter type="Datacenter">${datacenter}</datacenter></DeleteVirtualDisk_Task>`)
}

/** Makes a thin disk of that size. */
export function createDiskCall(datacenter: string, path: string, sizeBytes: number): string {
  return envelope(`<CreateVirtualDisk_Task xmlns="urn:vim25"><_this type="VirtualDiskManager">virtualDiskManager</_this><name>${escapeXml(path)}</name><datacenter type="Datacenter">${datacenter}</datacenter>`
    + `<spec xsi:type="FileBackedVirtualDiskSpec"><diskType>thin</diskType><adapterType>lsiLogic</adapterType><capacityKb>${String(sizeBytes / 1024)}</capacityKb></spec></CreateVirtualDisk_Task>`)
}

export function taskStateCall(task: string): string {
  return envelope('<RetrieveProperties xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this><specSet><propSet><type>Task</type><pathSet>info.state</pathSet></propSet>'
    + `<objectSet><obj type="Task">${task}</obj></objectSet></specSet></RetrieveProperties>`)
}
