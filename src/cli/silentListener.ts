/**
 * A worker that listens and never accepts.
 *
 * Node accepts whatever arrives and has no way not to, except where its event loop stands still: this one waits for
 * ever inside the callback that tells it is listening. A worker and not a process, so that nothing can survive us.
 */
import { createServer } from "node:net"
import { parentPort, workerData } from "node:worker_threads"

/** What the worker is told: where to listen. */
export interface Where {
  readonly host: string
  readonly port: number
}

/** What it tells: that it listens, or the errno why not. */
export type Report = { readonly listening: true } | { readonly listening: false; readonly code: string | undefined }

const { host, port } = workerData as Where
const report = (message: Report): void => parentPort?.postMessage(message, [])

createServer()
  .on("error", (error: NodeJS.ErrnoException) => report({ listening: false, code: error.code }))
  // The shortest queue: Linux keeps one connection more than the backlog.
  .listen({ host, port, backlog: 1 }, () => {
    report({ listening: true })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
