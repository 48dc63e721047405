/** Where our agent keeps what is its own on a source: program, settings, keys and queue. None of it leaves the source: a replica that had it would connect as the source. */
export const AGENT_PLACES = ['/etc/landfall', '/var/lib/landfall', '/var/lib/landfall-agent', '/var/log/landfall-agent', '/opt/landfall', '/usr/lib/landfall'] as const
