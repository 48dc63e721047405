/** The OpenAPI 3.1 document, made of the routes and the same schemas that check requests and answers. */
import { z } from 'zod'
import { JobStreamEvent } from '../domain/api.ts'
import * as api from '../domain/api.ts'
import * as job from '../domain/job.ts'
import * as server from '../domain/server.ts'
import { Places } from '../domain/target.ts'
import { AddUserTask } from '../domain/user-task.ts'
import { Workload } from '../domain/workload.ts'
import type { Route } from './endpoint.ts'

type AnyRoute = Route<unknown, unknown, unknown>
type Json = Record<string, unknown>

const BODIES: Record<string, z.ZodType> = {
  CreateJob: job.CreateJob, EditJob: job.EditJob, AddUserTask, AddSource: server.AddSource, RenewToken: api.RenewToken, AddVmware: server.AddVmware, Enrol: server.Enrol,
}
const ANSWERS: Record<string, z.ZodType> = {
  Health: api.Health, JobView: job.JobView, JobEventRecord: job.JobEventRecord, JobStreamEvent, SourceRecord: server.SourceRecord,
  EnrolmentOffer: server.EnrolmentOffer, Enrolled: server.Enrolled, VmwareRecord: server.VmwareRecord, Places, Workload, Problem: server.Problem,
}

/** @param version of the appliance */
export function openApiDocument(routes: readonly AnyRoute[], version: string): Json {
  const paths: Record<string, Json> = {}
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operation(route) }
  return {
    openapi: '3.1.0',
    info: { title: 'Landfall appliance', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { ...components(BODIES, 'input'), ...components(ANSWERS, 'output') },
    },
    paths,
  }
}

function operation(route: AnyRoute): Json {
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query)]
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.access === 'public' ? { security: [] } : { security: [{ token: [] }], 'x-role': route.access }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': { schema: reference(route.body, 'input') } } } }),
    responses: {
      [String(route.status)]: {
        description: route.summary,
        ...(route.produces === undefined ? {} : { content: { [route.produces]: {} } }),
        ...(route.answer === undefined ? {} : { content: { [route.answer === JobStreamEvent ? 'text/event-stream' : 'application/json']: { schema: reference(route.answer, 'output') } } }),
      },
      default: { description: 'What was wrong and what to do', content: { 'application/problem+json': { schema: reference(server.Problem, 'output') } } },
    },
  }
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name, in: 'path', required: true, schema: name === 'action' ? { enum: job.JobAction.options } : { type: 'string' },
  }))
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (query === undefined) return []
  const { properties } = z.object({ properties: z.record(z.string(), z.unknown()) }).parse(z.toJSONSchema(query, { io: 'output' }))
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
}

/** A named schema by its name, a list of one, or the schema itself. */
function reference(schema: z.ZodType, io: 'input' | 'output'): Json {
  const name = Object.entries(io === 'input' ? BODIES : ANSWERS).find(([, known]) => known === schema)?.[0]
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` }
  if (schema instanceof z.ZodArray && schema.element instanceof z.ZodType) return { type: 'array', items: reference(schema.element, io) }
  return plain(z.toJSONSchema(schema, { io }))
}

function components(schemas: Record<string, z.ZodType>, io: 'input' | 'output'): Json {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id })
  const document = z.toJSONSchema(registry, { io, uri: id => `#/components/schemas/${id}` })
  return Object.fromEntries(Object.entries(document.schemas).map(([id, schema]) => [id, plain(schema)]))
}

/** Without what only a document of its own needs. */
function plain(schema: object): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'))
}
