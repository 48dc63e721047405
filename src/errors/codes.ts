/**
 * Every error code of the product, once. `operator` is the line that says what to do; docs, API and CLI take it from here.
 * Exit codes: 1 unexpected, 2 wrong use, 3 not found, 4 refused in this state, 5 not allowed, 6 unreachable or timed out,
 * 7 the data could not be copied or did not fit, 8 the hypervisor refused, 130 interrupted.
 */
export interface CodeEntry {
  readonly httpStatus: number
  readonly exitCode: number
  /** whether the same call may succeed later without anybody changing anything */
  readonly retryable: boolean
  /** what a person should do, one sentence */
  readonly operator: string
}

const entry = (httpStatus: number, exitCode: number, retryable: boolean, operator: string): CodeEntry =>
  ({ httpStatus, exitCode, retryable, operator })

export const CODES = {
  INTERNAL: entry(500, 1, false, 'This is a defect: send the diagnostics archive to support.'),
  REQUEST_INVALID: entry(400, 2, false, 'Correct the request as the message says and send it again.'),
  CONFIG_INVALID: entry(500, 2, false, 'Correct the configuration file as the message says and start again.'),
  ROUTE_NOT_FOUND: entry(404, 2, false, 'Use one of the paths of GET /openapi.json.'),
  RATE_LIMITED: entry(429, 5, true, 'Wait a minute, then try again with the right token.'),
  STORE_INVALID: entry(500, 1, false, 'The state directory was written by another version or is damaged: restore it from a backup, or install that version.'),
  STATE_IN_USE: entry(500, 2, false, 'Another appliance process uses this state directory: end it first.'),
  PORT_UNAVAILABLE: entry(500, 2, false, 'Choose another address or port in the configuration, or end the program that uses it.'),
  ANSWER_INVALID: entry(502, 6, false, 'Check that the address is that of a Landfall appliance, and that the command line has its version.'),
  APPLIANCE_UNTRUSTED: entry(502, 5, false, 'Name the CA file of the appliance with "--ca", or run "landfall login" and compare the fingerprint.'),
  // servers and trust
  ACCESS_DENIED: entry(401, 5, false, 'Log in, or use a token of an account that is allowed to do this.'),
  ACCESS_FORBIDDEN: entry(403, 5, false, 'Ask an administrator for the landfall-admin role.'),
  SERVER_NOT_FOUND: entry(404, 3, false, 'List the servers with "landfall server list" and use one of the names shown.'),
  SERVER_EXISTS: entry(409, 4, false, 'Choose another name, or remove the existing server first.'),
  SERVER_IN_USE: entry(409, 4, false, 'Delete the jobs of this server first.'),
  ENROLMENT_TOKEN_INVALID: entry(403, 5, false, 'Make a new token with "landfall server add" and enrol again.'),
  ENROLMENT_TOKEN_USED: entry(403, 5, false, 'Make a new token with "landfall server add" and enrol again.'),
  ENROLMENT_TOKEN_EXPIRED: entry(403, 5, false, 'Make a new token with "landfall server add" and enrol again.'),
  CERTIFICATE_UNTRUSTED: entry(409, 5, false, 'Compare the thumbprint with the server; accept it with "--accept-thumbprint".'),
  CERTIFICATE_CHANGED: entry(409, 5, false, 'Find out why the certificate changed; if it is right, remove the server and add it again.'),
  SOURCE_CLONED: entry(403, 5, false, 'Leave the agent of a clone off, or remove it there. If this is the server itself with new hardware, enrol its agent again with a new token for the same source; to migrate the clone, too, enrol it as a source of its own.'),
  PEER_UNTRUSTED: entry(403, 5, false, 'Enrol the agent with this appliance again.'),
  // wire
  FRAME_INVALID: entry(502, 6, false, 'The peer does not speak the replication protocol; check the address and the port.'),
  PROTOCOL_VERSION: entry(409, 4, false, 'Install the agent version that this appliance offers.'),
  LINK_LOST: entry(503, 6, true, 'Check the network between source and appliance; the connection is made again by itself.'),
  LINK_REFUSED: entry(503, 6, true, 'Check the address, the port and the firewall.'),
  SOURCE_NOT_CONNECTED: entry(503, 6, true, 'Start the agent on the source and check that it reaches the appliance.'),
  // files
  PATH_INVALID: entry(400, 7, false, 'The path cannot be used below a replica root.'),
  RULE_INVALID: entry(400, 2, false, 'Correct the pattern of the include or exclude rule as the message says.'),
  ORPHANS_FOLDER_INVALID: entry(409, 2, false, 'Name a folder for the orphans that lies outside of the source and the replica and can be written to.'),
  SOURCE_MISSING: entry(404, 3, false, 'Check the path of the source directory or volume.'),
  SOURCE_UNREADABLE: entry(500, 7, false, 'See the finding for the file and the reason; the rest was copied.'),
  SOURCE_UNSUPPORTED: entry(409, 4, false, 'Leave this volume out of the job, or convert it to ext4, XFS or btrfs.'),
  REPLICA_ROOT_MISSING: entry(404, 3, false, 'Check the path of the replica directory.'),
  REPLICA_ROOT_FOREIGN: entry(409, 4, false, 'Mount the volume that belongs there, or name the right directory; nothing was written to this one.'),
  REPLICA_FULL: entry(507, 7, true, 'Free or add space on the replica volume, then start the job again; it goes on where it was.'),
  REPLICA_READ_ONLY: entry(409, 7, false, 'Mount the replica volume read-write, then start the job again.'),
  REPLICA_WRITE: entry(500, 7, true, 'Check the replica disk and the appliance log, then start the job again.'),
  REPORT_NOT_WRITTEN: entry(507, 7, true, 'Free space where the report is written, or name another file, and verify again.'),
  CAPTURE_UNSUPPORTED: entry(409, 4, false, 'Run the agent as root on a kernel with fanotify (5.9 or newer).'),
  QUEUE_FOLDER_INVALID: entry(409, 4, false, 'Give "queue.folder" in the configuration of the source\'s agent a directory that belongs to root and is writable for root alone (chmod 700), and start the agent again.'),
  QUEUE_FOLDER_REPLICATED: entry(409, 4, false, 'Choose a folder on a file system that no job carries for "queue.folder" of the source\'s agent, or leave it out, and start the agent again; to exclude the folder by a rule is not enough.'),
  QUEUE_LIMITS_INVALID: entry(409, 4, false, 'Lower "queue.maximumMiB" or "queue.minimumFreeMiB" of the source\'s agent, or choose a folder on a larger file system, and start the agent again.'),
  CAPTURE_OVERFLOW: entry(500, 7, true, 'Changes were missed; a new mirror is started by itself.'),
  SOURCE_THAWED: entry(409, 4, true, 'The source was not held still until the end; nothing is lost: cut over again when it is connected.'),
  FREEZE_FAILED: entry(409, 4, true, 'See the message and the kernel log of the source, then cut over again; the source runs on.'),
  FREEZE_BUSY: entry(409, 4, true, 'Another program (a backup?) holds the file system frozen: wait for its end, or thaw it with "fsfreeze --unfreeze", then cut over again.'),
  FREEZE_TIMEOUT: entry(504, 6, true, 'Look for a disk or network storage of the source that does not answer, or a process that hangs in writing, then cut over again.'),
  DRAIN_STUCK: entry(409, 4, true, 'The source was frozen but could not be read; it runs on. Cut over again, and see the log of its kernel if this comes back.'),
  PRE_SCRIPT_INVALID: entry(409, 4, false, 'Put the script into the directory of scripts of the source (/etc/landfall/scripts), executable, and writable by root alone.'),
  PRE_SCRIPT_FAILED: entry(409, 7, false, 'Correct the script on the source, or leave it out of the job, then cut over again; nothing was stopped or frozen.'),
  SERVICE_STOP_FAILED: entry(409, 7, false, 'Look at the service on the source with "systemctl status", then cut over again; the services run again.'),
  // tools
  TOOL_MISSING: entry(500, 2, false, 'Install the tool named in the message.'),
  TOOL_FAILED: entry(500, 1, false, 'The message shows the end of the output of the tool; the log has all of it.'),
  TOOL_TIMEOUT: entry(504, 6, true, 'The tool did not end in time; try again when the machine is less busy.'),
  TOOL_OUTPUT: entry(500, 1, false, 'The tool answered in a form that is not known; the version may not be supported.'),
  // storage
  DISK_NOT_FOUND: entry(404, 8, true, 'The disk did not appear in the appliance; see the events of the VM in vSphere.'),
  MOUNT_FAILED: entry(500, 7, false, 'The kernel of the appliance refused it for the reason named; its log ("dmesg") may say more.'),
  VOLUME_NOT_FOUND: entry(404, 3, false, 'Check the name of the volume.'),
  VOLUME_LAYOUT: entry(500, 7, false, 'The layout on the disk is not the planned one; delete the job with its disks and create it again.'),
  VOLUME_DAMAGED: entry(500, 7, false, 'A file system of the replica did not pass its check; mirror again with "--compare data", or delete the job with its disks.'),
  // hypervisor
  VSPHERE_LOGIN: entry(401, 5, false, 'Correct the user or the password of the VMware server.'),
  VSPHERE_UNREACHABLE: entry(503, 6, true, 'Check the address of the VMware server and the network.'),
  VSPHERE_TIMEOUT: entry(504, 6, true, 'The VMware server did not answer in time; look at its recent tasks and try again.'),
  VSPHERE_PERMISSION: entry(403, 8, false, 'Give the account the privilege named in the message.'),
  VSPHERE_NOT_FOUND: entry(404, 8, false, 'The object named in the message does not exist on the VMware server.'),
  VSPHERE_EXISTS: entry(409, 8, false, 'Choose another name, or remove what exists.'),
  VSPHERE_BUSY: entry(409, 8, true, 'The object is in use by another task or VM; try again when that has ended.'),
  VSPHERE_NO_SPACE: entry(507, 8, false, 'Free space on the datastore, or choose another one.'),
  VSPHERE_STATE: entry(409, 8, false, 'The object is in a state in which this is refused; see the message.'),
  VSPHERE_FAULT: entry(502, 8, false, 'See the fault in the message and the recent tasks of the VMware server.'),
  DATASTORE_NOT_FOUND: entry(404, 8, false, 'List the datastores with "landfall vmware list" and use one of the names shown.'),
  DATASTORE_TOO_SMALL: entry(507, 8, false, 'Choose a datastore with more free space, or smaller disks.'),
  NETWORK_NOT_FOUND: entry(404, 8, false, 'List the networks with "landfall vmware list" and map the adapter to one of them.'),
  VM_NAME_TAKEN: entry(409, 8, false, 'Choose another name for the replica, or remove the existing VM.'),
  // job
  SCREENSHOT_NOT_FOUND: entry(404, 3, false, 'A screenshot is kept at a cutover or test cutover, where the VMware server makes one; see "landfall job show".'),
  JOB_NOT_FOUND: entry(404, 3, false, 'List the jobs with "landfall job list" and use one of the names shown.'),
  JOB_EXISTS: entry(409, 4, false, 'Choose another job name.'),
  JOB_TRANSITION_INVALID: entry(409, 4, false, 'Wait for the state in which this is offered; "landfall job show" lists the actions offered now.'),
  JOB_VALIDATION_FAILED: entry(409, 4, false, 'Correct the errors that "landfall job validate" lists.'),
  PASSPHRASE_MISSING: entry(409, 4, false, 'Delete the job and create it again with its passphrase, or with "--encryption decrypt".'),
  TASK_INVALID: entry(409, 4, false, 'Put the script into the tasks directory of the appliance, executable, writable for its administrator only.'),
  TASKS_FULL: entry(409, 4, true, 'Wait until some of the tasks of this job have run.'),
  SCHEDULE_NEVER_OPENS: entry(400, 2, false, 'Give the schedule a start in the future, an interval, a queue or a window that opens.'),
  // cutover
  BOOT_FIXUP_FAILED: entry(500, 7, false, 'See the message and correct it on the source, then cut over again; the replica is as it was.'),
  TEST_NETWORK_REFUSED: entry(409, 4, false, 'Name a network that reaches neither the source nor its users, and that the job itself does not use.'),
  BOOT_NOT_PROVEN: entry(504, 6, false, 'Look at the console of the replica; the source can be switched on again.'),
} as const satisfies Record<string, CodeEntry>

export type ErrorCode = keyof typeof CODES
