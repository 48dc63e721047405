/** The data of a file in memory: a size, and runs of bytes; what no run covers is a hole and reads as zeros. Offsets in bytes. */
import type { Extent } from '../domain/file-operation.ts'
import type { DataRange } from './source-tree.ts'

export class SparseData {
  #sizeBytes = 0
  /** sorted, not overlapping, none empty */
  #runs: Extent[] = []

  get sizeBytes(): number { return this.#sizeBytes }

  /** Copies the data in; the file grows to hold them. */
  write(offset: number, data: Buffer): void {
    if (data.length === 0) return
    this.#cut(offset, offset + data.length)
    this.#runs.push({ offset, data: Buffer.from(data) })
    this.#runs.sort((a, b) => a.offset - b.offset)
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + data.length)
  }

  /** Makes a hole; the size stays. */
  punch(offset: number, lengthBytes: number): void {
    this.#cut(offset, offset + lengthBytes)
  }

  /** Cuts off what is behind, or adds a hole. */
  resize(sizeBytes: number): void {
    this.#cut(sizeBytes, Number.MAX_SAFE_INTEGER)
    this.#sizeBytes = sizeBytes
  }

  /** Up to lengthBytes at offset; fewer at the end. The buffer is the caller's. */
  read(offset: number, lengthBytes: number): Buffer {
    const end = Math.min(this.#sizeBytes, offset + lengthBytes)
    const out = Buffer.alloc(Math.max(0, end - offset))
    for (const run of this.#runs) {
      const from = Math.max(run.offset, offset)
      const to = Math.min(run.offset + run.data.length, end)
      if (from < to) run.data.copy(out, from - offset, from - run.offset, to - run.offset)
    }
    return out
  }

  /** Where data is, in order; runs that touch are one. */
  ranges(): DataRange[] {
    const ranges: DataRange[] = []
    for (const { offset, data } of this.#runs) {
      const last = ranges.at(-1)
      if (last !== undefined && last.offset + last.lengthBytes === offset) last.lengthBytes += data.length
      else ranges.push({ offset, lengthBytes: data.length })
    }
    return ranges
  }

  #cut(from: number, to: number): void {
    this.#runs = this.#runs.flatMap(({ offset, data }) => {
      const end = offset + data.length
      if (end <= from || offset >= to) return [{ offset, data }]
      const kept: Extent[] = []
      if (offset < from) kept.push({ offset, data: data.subarray(0, from - offset) })
      if (end > to) kept.push({ offset: to, data: data.subarray(to - offset) })
      return kept
    })
  }
}
