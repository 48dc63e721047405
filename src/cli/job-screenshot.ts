import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { clean, formatBytes, printJson } from './output.ts'

const Options = z.object({ output: z.string(), test: z.boolean().default(false) })

/** `landfall job screenshot`: what the replica's screen showed, as a file. */
export function addJobScreenshot(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'screenshot <name>', summary: 'save what the screen of the replica showed when it had booted, or did not',
    details: 'A screenshot is kept when the replica has reported its first boot, or, when it did not report in time, before it is switched off. With --test: that of the last\ntest cutover.',
  }, surroundings, async ({ args, options, client, terminal, signal, json }) => {
    const { output, test } = Options.parse(options)
    const of = test ? 'test-cutover' : 'cutover'
    const image = await client.download(`/jobs/${step(args[0] ?? '')}/screenshot?of=${of}`, 'image/png', { signal })
    try {
      await writeFile(output, image)
    } catch (error) {
      throw new AppError('REQUEST_INVALID', `the screenshot cannot be written to ${output}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    if (json) printJson(terminal, { of, file: output, bytes: image.length })
    else terminal.out(`The screenshot was saved as ${clean(output)}, a PNG of ${formatBytes(image.length)}.\n`)
  }).requiredOption('--output <file>', 'the file to write; one that exists is replaced').option('--test', 'of the last test cutover')
}
