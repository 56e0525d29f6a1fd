// See what a dial does, as it does it: a name with two addresses, the first of which refuses.
import { NodeRuntime, NodeSocketServer } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Address, Dialer, DialEvent, Resolver } from "effect-dial"
import { NodeTransport } from "effect-dial/node"

const names = Resolver.layerStatic({
  "db.internal": [Address.unsafeParse("127.0.0.2"), Address.unsafeParse("127.0.0.1")]
})

const line = (event: DialEvent.DialEvent): string => {
  const at = `${event.at.toFixed(1)} ms`.padStart(8)
  switch (event._tag) {
    case "ResolutionStarted":
      return `${at}  who is ${event.name}?`
    case "AddressesResolved":
      return `${at}  ${event.family}: ${event.addresses.join(", ")}`
    case "ResolutionFailed":
    case "AttemptFailed":
    case "AttemptStopped":
    case "DialFailed":
      return `${at}  ${event.error.message}`
    case "AttemptStarted":
    case "AttemptConnected":
      return `${at}  ${event._tag} #${event.attempt} ${event.address}`
    case "Planned":
      return `${at}  to be tried in this order: ${event.candidates.map(({ address }) => address).join(", ")}`
    case "Connected":
      return `${at}  connected to ${event.address} from ${event.localAddress}`
    default:
      return `${at}  ${event._tag}`
  }
}

const program = Effect.gen(function*() {
  const server = yield* NodeSocketServer.make({ host: "127.0.0.1", port: 0 })
  yield* Effect.forkScoped(server.run((socket) => socket.run(() => {})))
  const port = server.address._tag === "TcpAddress" ? server.address.port : 0

  const lines: Array<string> = []
  yield* DialEvent.observe(
    Dialer.dial(`db.internal:${port}`),
    (endpoint) => (event) => lines.push(`${endpoint}  ${line(event)}`)
  )
  yield* Console.log(lines.join("\n"))
})

const network = Layer.provide(Dialer.layer, Layer.merge(names, NodeTransport.layer))

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(network)))
