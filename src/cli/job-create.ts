import { Option, type Command } from 'commander'
import { CreateJob, JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import { addCommand, collect, type Surroundings } from './command.ts'
import { CreateFlags, createRequest } from './job-options.ts'
import { addLayoutFlags, passphraseOf } from './layout-flags.ts'
import { asArgument, printJson } from './output.ts'
import { addSendingOptions } from './sending-options.ts'

/** `landfall job create`: one migration of a source to a replica. Nothing is made before `job start`. */
export function addJobCreate(parent: Command, surroundings: Surroundings): void {
  const scripts: { name: string, arguments: string[] }[] = []
  const script = (name: string): typeof scripts => { scripts.push({ name, arguments: [] }); return scripts }
  const argument = (text: string): true => {
    const last = scripts.at(-1)
    if (last === undefined) throw new AppError('REQUEST_INVALID', '--pre-script-arg needs a --pre-script NAME before it')
    last.arguments.push(text)
    return true
  }
  addLayoutFlags(addSendingOptions(addCommand(parent, {
    usage: 'create <name>', summary: 'create a job: the migration of one source to one replica',
    details: 'Nothing is made on the VMware server before "landfall job start". "landfall vmware list --places" shows datastores and networks,\n"landfall server show" the volumes and adapters of the source.',
  }, surroundings, async ({ args, options, client, terminal, environment, signal, json }) => {
    const flags = CreateFlags.parse(options)
    const request = await createRequest(args[0] ?? '', flags)
    const passphrase = await passphraseOf(flags, environment, terminal, signal)
    const job = await client.post('/jobs', JobView, { body: CreateJob.parse({ ...request, ...(passphrase === undefined ? {} : { passphrase }) }), signal })
    if (json) printJson(terminal, job)
    else terminal.out(`Created job ${job.name}. Next: landfall job validate ${asArgument(job.name)}\n`)
  }))).requiredOption('--source <name>', 'source server').requiredOption('--vmware <name>', 'VMware server').requiredOption('--datastore <name>', 'datastore of the replica')
    .option('--vm-name <name>', 'name of the replica VM (default: the name of the job)')
    .option('--network <[mac=]name>', 'network for all adapters, or for the one with this MAC address; repeatable', collect)
    .option('--discard-nic <mac>', 'leave this adapter and its addresses out; repeatable', collect)
    .option('--address <mac=ip/length>', 'address of this adapter on the replica, like 52:54:00:12:34:56=192.0.2.7/24; repeatable, the first is the primary one (default: as the source)', collect)
    .option('--gateway <mac=ip>', 'gateway of an adapter with --address; of each family the first counts', collect)
    .option('--dns <mac=ip>', 'name server of an adapter with --address; repeatable (default: as the source)', collect)
    .option('--volume <mount point>', 'volume to migrate besides the system\'s; repeatable (default: all that can be)', collect)
    .addOption(new Option('--disk-format <format>', 'format of the virtual disks (default: thin)').choices(['flat', 'thick', 'thin']))
    .addOption(new Option('--compare <how>', 'what the mirror compares before it sends (default: none)').choices(['none', 'attributes', 'data']))
    .addOption(new Option('--orphans <what>', 'files on the replica that the source has not (default: delete)').choices(['keep', 'delete']))
    .option('--include <pattern>', 'migrate only what this matches, with all that is below, like "/srv/**" or "*.conf"; repeatable', collect)
    .option('--exclude <pattern>', 'leave out what this matches, with all that is below; repeatable', collect)
    .option('--include-flat <pattern>', 'as --include, of a directory only the files directly in it', collect)
    .option('--exclude-flat <pattern>', 'as --exclude, of a directory only the files directly in it', collect)
    .option('--orphans-older-than <period>', 'only orphans modified longer ago are deleted, like 12h, 7d or 2w')
    .option('--remove-outside', 'delete what an earlier mirror sent and the rules leave out now')
    .option('--cpu <n>', 'cores, or sockets and cores like 2x4 (default: as the source)').option('--memory <size>', 'memory like 4096 (MiB) or 4G (default: as the source)')
    .option('--post-failover <file>', 'script to run in the replica after its first boot').option('--post-failover-arg <text>', 'argument of the script; repeatable', collect)
    .option('--post-failover-timeout <seconds>', 'time that the script may take', '600')
    .option('--pre-script <name>', 'script of the source (in its /etc/landfall/scripts) to run at the cutover before the freeze; repeatable, in order', script)
    .option('--pre-script-arg <text>', 'argument of the --pre-script before it; repeatable', argument).option('--pre-script-timeout <seconds>', 'time that each may take', '300')
    .option('--stop-service <unit>', 'service of the source to stop at the cutover; repeatable, in order; started again if it is undone', collect)
    .option('--auto-cutover', 'cut over as soon as the mirror is complete').option('--no-shutdown', 'do not shut the source down at the cutover')
}
