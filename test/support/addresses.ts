/** The addresses of a test, as it writes them. */
import { Either } from "effect"
import * as Address from "../../src/Address.js"

/** `1.2.3.4:80`, `[::1]:80`, `/path`. */
export const at = (text: string): Address.SocketAddress =>
  Either.getOrThrowWith(Address.parseSocketAddress(text), (error) => error)

export const ip = Address.unsafeParse
