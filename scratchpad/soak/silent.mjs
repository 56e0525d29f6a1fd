// A worker that listens and never accepts: Node accepts whatever arrives, except while its event loop stands still, and
// this one stands still for ever. What connects beyond its queue gets no answer to its SYN.
import { createServer } from "node:net"
import { parentPort } from "node:worker_threads"

const server = createServer().listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
  parentPort.postMessage(server.address().port)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
