/**
 * A route of the API as data, and the function that answers it. The document (`openapi.ts`) and the server (`server.ts`) are both made of these, so that
 * neither can know a route that the other does not. An endpoint gets checked values and answers a record or fails; it never sees a request or a response.
 */
import type { z } from 'zod'
import type { Role } from '../server/server-store.ts'

export interface Route<Body, Query, Answer> {
  /** operation id in the document, event name in the audit log */
  id: string
  method: 'get' | 'post' | 'patch' | 'delete'
  /** '/jobs/{job}' */
  path: string
  summary: string
  /** public: no token needed */
  access: 'public' | Role
  status: 200 | 201 | 202 | 204
  body?: z.ZodType<Body>
  query?: z.ZodType<Query>
  answer?: z.ZodType<Answer>
  /** what it answers instead of JSON */
  produces?: 'image/png'
}

/** Who calls: a token's name and role. */
export interface Caller { name: string, role: Role }

export interface Call<Body, Query> {
  /** A part of the path, which the route names. */
  parameter: (name: string) => string
  body: Body
  query: Query
  /** the request's header, lower-case name */
  header: (name: string) => string | undefined
  /** aborted when the client goes away, the deadline passes or the server stops */
  signal: AbortSignal
}

/** One server-sent event. */
export interface StreamEvent { event: string, id?: string, data: unknown }

export interface Endpoint {
  route: Route<unknown, unknown, unknown>
  /** answers with a record; undefined for a stream */
  answer?: (call: Call<unknown, unknown>) => Promise<unknown>
  stream?: (call: Call<unknown, unknown>) => AsyncIterable<StreamEvent>
  /** answers with the bytes of what the route produces */
  file?: (call: Call<unknown, unknown>) => Promise<Uint8Array>
}

/** An endpoint that answers with a record, which is checked and cut to the route's schema. */
export function endpoint<Body, Query, Answer>(route: Route<Body, Query, Answer>, answer: (call: Call<Body, Query>) => Promise<Answer>): Endpoint {
  return { route, answer: async call => await answer(typed(route, call)) }
}

/** An endpoint that answers with server-sent events. */
export function streamEndpoint<Body, Query, Event>(route: Route<Body, Query, Event>, stream: (call: Call<Body, Query>) => AsyncIterable<StreamEvent>): Endpoint {
  return { route, stream: call => stream(typed(route, call)) }
}

/** An endpoint that answers with a file of the type that the route names. */
export function fileEndpoint<Body, Query>(route: Route<Body, Query, never> & { produces: NonNullable<Route<Body, Query, never>['produces']> }, file: (call: Call<Body, Query>) => Promise<Uint8Array>): Endpoint {
  return { route, file: async call => await file(typed(route, call)) }
}

/** The server has checked body and query by the route's schemas; checking again only gives them their types back. */
function typed<Body, Query, Answer>(route: Route<Body, Query, Answer>, call: Call<unknown, unknown>): Call<Body, Query> {
  return { ...call, body: checked(route.body, call.body), query: checked(route.query, call.query) }
}

function checked<T>(schema: z.ZodType<T> | undefined, value: unknown): T {
  // without a schema T is unconstrained by the route, and nothing reads the value
  return schema === undefined ? value as T : schema.parse(value)
}
