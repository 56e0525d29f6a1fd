/**
 * The half of a SocketHandle that is the same over every `net.Socket` of Node, a TLS one too: writing, ending, and one
 * reason for the end. How it is read and how it is closed is what its subclasses differ in.
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Net from "node:net"
import type * as Address from "../../Address.js"
import { ConnectionLost, lostFromErrno, type LostReason } from "../../DialError.js"
import type { Receiver } from "./taken.js"

export type Resume<A, E = never> = (effect: Effect.Effect<A, E>) => void

/** Why the socket is dead, and the error that says so once somebody asks: an Error captures a stack, which costs. */
export interface Death {
  readonly reason: LostReason
  readonly code: string | undefined
  readonly cause: unknown
  error: ConnectionLost | undefined
}

export abstract class StreamHandle<S extends Net.Socket> {
  protected socket: S | undefined
  protected death: Death | undefined
  protected readWaiter: Resume<Option.Option<Uint8Array>, ConnectionLost> | undefined
  /** Who is told of what comes, without an Effect, and whether they asked for bytes that have not come. */
  protected receiver: Receiver | undefined
  protected asked = false
  private lossWaiters: Set<Resume<ConnectionLost>> | undefined
  private ending = false

  abstract get remoteAddress(): Address.SocketAddress

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      const socket = this.socket
      if (this.death !== undefined || socket === undefined) return Effect.fail(this.loss(this.lose("End")))
      let finished: Effect.Effect<void, ConnectionLost> | undefined
      let waiter: Resume<void, ConnectionLost> | undefined
      socket.write(bytes, (error) => {
        // Node calls back without an error for a write that a destroy cut off.
        finished = error
          ? Effect.fail(this.loss(this.loseTo(error)))
          : this.death === undefined
          ? Effect.void
          : Effect.fail(this.loss(this.death))
        this.endWhenWritten()
        waiter?.(finished)
      })
      // The kernel took it all at once: no need to wait for Node to say so.
      if (socket.writableLength === 0 && !socket.errored) return Effect.void
      return Effect.async((resume) => {
        // No cleanup: it would cost as much as the rest, and a fiber that waits no more hears nothing of a `resume`.
        if (finished !== undefined) resume(finished)
        else waiter = resume
      })
    })
  }

  get unsent(): number {
    return this.socket?.writableLength ?? 0
  }

  get flush(): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() =>
      this.unsent === 0
        ? Effect.void
        : this.socket?.writableEnded
        ? this.finished
        // A write of nothing is done when everything before it is.
        : this.write(nothing)
    )
  }

  get end(): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      if (this.death !== undefined || this.socket === undefined) return Effect.fail(this.loss(this.lose("End")))
      // Not before all is written: once Node has been told to end, what is queued can no longer be discarded by a
      // reset, and an abort would make a body cut short look whole.
      this.ending = true
      this.endWhenWritten()
      return this.finished
    })
  }

  /** Whether the socket cannot be told to end now; whoever says so calls {@link endWhenWritten} once it can. */
  protected get busy(): boolean {
    return false
  }

  protected endWhenWritten(): void {
    const socket = this.socket
    if (!this.ending || this.busy || socket === undefined) return
    if (socket.writableLength === 0 && !socket.writableEnded) socket.end()
  }

  /** Waits until everything written, and the end after it, is with the kernel. */
  private get finished(): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      const socket = this.socket
      if (this.death !== undefined) return resume(Effect.fail(this.loss(this.death)))
      if (socket === undefined || socket.writableFinished) return resume(Effect.void)
      const onFinish = () => resume(Effect.void)
      const onLoss: Resume<ConnectionLost> = (lost) => resume(Effect.flatMap(lost, Effect.fail))
      socket.once("finish", onFinish)
      const waiters = this.lossWaiters ??= new Set()
      waiters.add(onLoss)
      return Effect.sync(() => {
        socket.off("finish", onFinish)
        waiters.delete(onLoss)
      })
    })
  }

  get lost(): Effect.Effect<ConnectionLost> {
    return Effect.async((resume) => {
      if (this.death !== undefined) return resume(Effect.succeed(this.loss(this.death)))
      const waiters = this.lossWaiters ??= new Set()
      waiters.add(resume)
      return Effect.sync(() => {
        waiters.delete(resume)
      })
    })
  }

  /** The death that an error of Node is. */
  protected loseTo(cause: unknown): Death {
    const { code } = cause as NodeJS.ErrnoException
    return this.lose(lostFromErrno(code), code, cause)
  }

  /** The first cause wins. */
  lose(reason: LostReason, code?: string, cause?: unknown): Death {
    if (this.death !== undefined) return this.death
    const death: Death = this.death = { reason, code, cause, error: undefined }
    this.receiver?.lost(this.loss(death))
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(this.lastRead(death))
    const waiters = this.lossWaiters
    this.lossWaiters = undefined
    waiters?.forEach((resume) => resume(Effect.succeed(this.loss(death))))
    return death
  }

  /** What a read comes to that waited when the socket died. */
  protected lastRead(death: Death): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.fail(this.loss(death))
  }

  protected loss(death: Death): ConnectionLost {
    const { cause, code, reason } = death
    return death.error ??= new ConnectionLost({ address: this.remoteAddress, reason, code, cause })
  }
}

const nothing = new Uint8Array(0)
