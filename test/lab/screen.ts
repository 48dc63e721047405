/** What a screenshot of a lab's VM shows, as far as a check must know. */
import { inflateSync } from 'node:zlib'

const SIGNATURE = '89504e470d0a1a0a'
const FIRST_CHUNK = 8
/** length, type and checksum of a chunk */
const CHUNK_FRAME = 12
/** A line of text changes so many bytes between neighbouring pixels; an empty screen none. */
const MIN_CHANGES = 500

export interface Screen { width: number, height: number, isEmpty: boolean }

/** @throws {Error} when it is no PNG of one whole image */
export function readScreen(png: Buffer): Screen {
  if (png.subarray(0, FIRST_CHUNK).toString('hex') !== SIGNATURE) throw new Error('it is no PNG')
  const data: Buffer[] = []
  let [width, height] = [0, 0]
  for (let at = FIRST_CHUNK; at < png.length;) {
    const length = png.readUInt32BE(at)
    const type = png.toString('latin1', at + 4, at + 8)
    const body = png.subarray(at + 8, at + 8 + length)
    if (type === 'IHDR') [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)]
    if (type === 'IDAT') data.push(body)
    at += length + CHUNK_FRAME
  }
  // with each of PNG's filters a pixel like its neighbour is zeros
  const changes = inflateSync(Buffer.concat(data)).reduce((sum, byte) => sum + (byte === 0 ? 0 : 1), 0)
  return { width, height, isEmpty: changes - height < MIN_CHANGES }
}
