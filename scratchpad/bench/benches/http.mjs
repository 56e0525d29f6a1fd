// Small HTTP requests over 16 connections that are kept alive, each connection's next as soon as it has its last.
import { HttpClient } from "@effect/platform"
import * as PlatformNode from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import { Effect, Layer } from "effect"
import * as NodeHttpClient from "effect-dial/node/NodeHttpClient"
import * as NodeNetwork from "effect-dial/node/NodeNetwork"
import { start } from "../measure.mjs"

const connections = 16
/** What a contender does, after half as many to warm up: the HttpClient does a tenth of what undici alone does. */
const load = { undici: 32_000, client: 6_400 }

const figures = ({ cpu, wall }, requests) => ({ rate: requests / (wall / 1e6), cpu: cpu / requests })

const checked = (text) => {
  if (text !== "hello") throw new Error(`the answer was ${text}`)
}

const onDispatcher = async (dispatcher, port) => {
  const lane = async (times) => {
    for (let i = 0; i < times; i++) {
      const { body } = await dispatcher.request({ origin: `http://127.0.0.1:${port}`, method: "GET", path: "/" })
      checked(await body.text())
    }
  }
  const all = (times) => Promise.all(Array.from({ length: connections }, () => lane(times / connections)))
  await all(load.undici / 2)
  const stop = start()
  await all(load.undici)
  return figures(stop(), load.undici)
}

const onClient = (layer) => ({ http: port }) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const get = Effect.flatMap(
      client.get(`http://127.0.0.1:${port}/`),
      (response) => Effect.map(response.text, checked)
    )
    const all = (times) =>
      Effect.replicateEffect(Effect.repeatN(get, times / connections - 1), connections, { concurrency: connections })
    yield* all(load.client / 2)
    const stop = start()
    yield* all(load.client)
    return figures(stop(), load.client)
  }).pipe(Effect.provide(layer), Effect.runPromise)

export default {
  title: "HTTP requests over connections kept alive",
  rounds: 12,
  metrics: {
    rate: { unit: "requests a second", digits: 0 },
    cpu: { unit: "µs CPU per request", digits: 1 }
  },
  contenders: {
    "undici": async ({ http }) => {
      const agent = new Undici.Agent()
      const measured = await onDispatcher(agent, http)
      await agent.destroy()
      return measured
    },
    "undici, effect-dial": ({ http }) =>
      NodeHttpClient.makeDispatcher().pipe(
        Effect.flatMap((agent) => Effect.promise(() => onDispatcher(agent, http))),
        Effect.scoped,
        Effect.provide(NodeNetwork.layer),
        Effect.runPromise
      ),
    "HttpClient": onClient(PlatformNode.layerUndici),
    "HttpClient, effect-dial": onClient(Layer.provide(NodeHttpClient.layerUndici(), NodeNetwork.layer))
  },
  goals: [
    { metric: "rate", contender: "undici, effect-dial", over: "undici", atLeast: 0.95 },
    { metric: "rate", contender: "HttpClient, effect-dial", over: "HttpClient", atLeast: 0.95 }
  ]
}
