// Redis through ioredis. Its `Connector` is a class that is asked for a stream each time it connects, and it waits for
// the `connect` of one that is `connecting`: a lazy stream. To a `tls://` endpoint it is secure, and `Tls.layerWith` says
// whom to trust. `allowTruncation` belongs there too: Redis never says that it ends TLS, and RESP says where an answer ends.
//
//   node scratchpad/examples/run.mjs recipes/ioredis localhost:6379
import { ManagedRuntime } from "effect"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { AbstractConnector, Redis, type RedisOptions } from "ioredis"
import * as Tls from "node:tls"

/** With `options.tls`, which names what to verify in `servername`, it waits for `secureConnect` instead. */
const connectorOver = (runtime: Duplex.DialerRuntime, endpoint: string, tls: Tls.ConnectionOptions | undefined) =>
  class extends AbstractConnector {
    constructor(options: unknown) {
      super((options as RedisOptions).disconnectTimeout ?? 2000)
    }

    override async connect() {
      const stream = Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" })
      this.stream = tls === undefined ? stream : Tls.connect({ ...tls, socket: stream })
      return this.stream
    }
  }

export const redisOver = (runtime: Duplex.DialerRuntime, endpoint: string, options: RedisOptions = {}): Redis => {
  const redis = new Redis({ ...options, Connector: connectorOver(runtime, endpoint, options.tls) })
  // It connects again by itself; without a listener it prints each error.
  redis.on("error", (error: Error) => console.error(`redis: ${error.message}`))
  return redis
}

export const main = async (endpoint = "localhost:6379"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  // When the server is not there a command fails after one try, and does not wait until it is.
  const redis = redisOver(runtime, endpoint, { maxRetriesPerRequest: 1 })
  try {
    await redis.del("visits")
    await redis.hincrby("visits", "/", 7)
    await redis.pipeline().hincrby("visits", "/", 1).hincrby("visits", "/about", 3).exec()
    console.log(await redis.hgetall("visits"))
  } finally {
    redis.disconnect()
    await runtime.dispose()
  }
}
