// MQTT through mqtt.js: a client is given a function that builds its stream, and calls it each time it connects. It writes
// to the stream at once: a lazy stream. To a `tls://` endpoint it is secure, and `Tls.layerWith` says whom to trust; with
// `tls`, Node's own TLS goes over our socket instead.
//
//   node scratchpad/examples/run.mjs recipes/mqtt localhost:1883
import { ManagedRuntime } from "effect"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { type IClientOptions, MqttClient } from "mqtt"
import * as Tls from "node:tls"

export const clientOver = (
  runtime: Duplex.DialerRuntime,
  endpoint: string,
  options: IClientOptions = {},
  tls?: Tls.ConnectionOptions
): MqttClient => {
  const client = new MqttClient(() => {
    const stream = Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" })
    return tls === undefined ? stream : Tls.connect({ ...tls, socket: stream })
  }, options)
  // It connects again by itself; without a listener an error ends the process.
  client.on("error", (error) => console.error(`mqtt: ${error.message}`))
  return client
}

export const main = async (endpoint = "localhost:1883"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const client = clientOver(runtime, endpoint)
  try {
    await client.subscribeAsync("visits", { qos: 1 })
    const heard = new Promise<string>((resolve) => {
      client.once("message", (topic, payload) => resolve(`${topic}: ${payload}`))
    })
    await client.publishAsync("visits", "ten", { qos: 1 })
    console.log(await heard)
  } finally {
    await client.endAsync()
    await runtime.dispose()
  }
}
