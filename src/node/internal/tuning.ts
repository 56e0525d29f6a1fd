/**
 * What a client asks of the socket under its stream: kept until there is one, and told to it then and from then on. A
 * connection without a socket of Node has no such options, and nothing is said of it.
 */
import type * as Net from "node:net"

export class Tuning {
  #socket: Net.Socket | undefined
  #noDelay: boolean | undefined
  #keepAlive: readonly [enable: boolean, initialDelay: number] | undefined
  #unref = false

  /** There is a socket. */
  apply(socket: Net.Socket | undefined): void {
    this.#socket = socket
    if (this.#noDelay !== undefined) socket?.setNoDelay(this.#noDelay)
    if (this.#keepAlive !== undefined) socket?.setKeepAlive(...this.#keepAlive)
    if (this.#unref) socket?.unref()
  }

  noDelay(enable: boolean): void {
    this.#noDelay = enable
    this.#socket?.setNoDelay(enable)
  }

  keepAlive(enable: boolean, initialDelay: number): void {
    this.#keepAlive = [enable, initialDelay]
    this.#socket?.setKeepAlive(enable, initialDelay)
  }

  ref(): void {
    this.#unref = false
    this.#socket?.ref()
  }

  unref(): void {
    this.#unref = true
    this.#socket?.unref()
  }
}
