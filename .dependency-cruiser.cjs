// Lowest first: a folder imports only folders in rows above its own.
const LAYERS = [
  ['errors'],
  ['domain', 'logging', 'clock'],
  ['posix', 'command', 'trust', 'database'],
  ['wire'],
  ['tree', 'capture', 'storage', 'hypervisor', 'server'],
  ['workload', 'mirror', 'replication'],
  ['source', 'replica'],
  ['job'],
  ['api'],
  ['agent', 'appliance', 'cli', 'console'],
  ['bin'],
]
const ADAPTERS = '^src/[^/]+/(posix-|fanotify-|inotify-|tls-|link-|execa-|linux-|vsphere-|sqlite-|memory-|scripted-)[^/]+[.]ts$'
const upward = LAYERS.map((row, i) => ({
  name: `layer-${row[0]}`, severity: 'error',
  from: { path: `^src/(${row.join('|')})/` },
  to: { path: `^src/(${LAYERS.slice(i + 1).flat().concat('-').join('|')})/` },
}))
const sideways = LAYERS.flatMap(row => row.map(f => ({
  name: `sibling-${f}`, severity: 'error',
  from: { path: `^src/${f}/` }, to: { path: `^src/(${row.filter(x => x !== f).concat('-').join('|')})/` },
})))
const only = (pkg, where) => ({
  name: `only-${pkg}`, severity: 'error',
  from: { path: '^src/', pathNot: where }, to: { path: `(^|/)node_modules/${pkg}/|^${pkg}$` },
})
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'seams', severity: 'error', comment: 'only the two composition roots name a real or in-memory adapter',
      from: { path: '^src/([^/]+)/', pathNot: '^src/(agent/agent|appliance/appliance)[.]ts$' },
      to: { path: ADAPTERS, pathNot: '^src/$1/' } },
    { name: 'no-dumping-ground', severity: 'error', from: { path: '^src/' },
      to: { pathNot: 'node_modules', path: '[/-](utils?|helpers?|common|misc|shared|lib)([.]ts$|/)' } },
    { name: 'clients-speak-http', severity: 'error', comment: 'cli and console know the API by its schemas only',
      from: { path: '^src/(cli|console)/' }, to: { path: '^src/(?!cli/|console/|domain/|errors/)' } },
    { name: 'agent-stays-small', severity: 'error', comment: 'the agent runs on a customer server',
      from: { path: '^src/bin/agent[.]ts$' },
      to: { path: '^src/(hypervisor|storage|replica|job|api|appliance|cli|console)/', reachable: true } },
    ...upward, ...sideways,
    only('execa', '^src/command/execa-runner[.]ts$'), only('soap', '^src/hypervisor/vsphere-'),
    only('express', '^src/api/'), only('pino', '^src/logging/'),
    { name: 'no-raw-child-process', severity: 'error', from: { path: '^src/' }, to: { path: '^(node:)?child_process$' } },
  ],
  options: { tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' }, doNotFollow: { path: 'node_modules' } },
}
