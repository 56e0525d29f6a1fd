/**
 * A dial as a log: a line for each event, to be printed as it happens where there is no terminal to draw on. Pure.
 */
import type { DialEvent } from "../DialEvent.js"
import { type Line, part } from "./lines.js"
import {
  failureCode,
  failureText,
  millis,
  outcomeText,
  reasonText,
  recordType,
  serviceText,
  sessionText
} from "./words.js"

/** The line of one event; `earlier` are the events before it, which know when an attempt began. */
export const line = (event: DialEvent, earlier: ReadonlyArray<DialEvent>): Line => [
  part(`${millis(event.at).padStart(10)}  `, "faint"),
  ...told(event, earlier)
]

const told = (event: DialEvent, earlier: ReadonlyArray<DialEvent>): Line => {
  switch (event._tag) {
    case "ResolutionStarted":
      return [part(`resolving ${event.name}`)]
    case "AddressesResolved":
      return [part(`${recordType(event.family)} ${event.addresses.join(", ")}`, "answered")]
    case "ResolutionFailed": {
      const { code, family, reason } = event.error
      return [
        part(`${family === undefined ? event.name : recordType(family)} ${reasonText(reason)}${suffix(code)}`, "failed")
      ]
    }
    case "AttemptStarted":
      return [part(`#${event.attempt} ${event.address} started`)]
    case "ServicesResolved":
      return [
        part(`HTTPS ${event.services.length === 0 ? "none" : event.services.map(serviceText).join(", ")}`, "answered")
      ]
    case "Planned":
      return [part(`order ${event.candidates.map(({ address }) => address).join(", ")}`, "faint")]
    case "AttemptEstablishing":
      return [part(`#${event.attempt} ${event.address} establishing`)]
    case "AttemptSecured":
      return [
        part(`#${event.attempt} ${event.address} secured${handshook(event, earlier)}: ${sessionText(event.session)}`)
      ]
    case "AttemptFailed":
      return [
        part(
          `#${event.attempt} ${event.address} failed${lasted(event, earlier)}: ${failureText(event.error)}${
            suffix(failureCode(event.error))
          }`,
          "failed"
        )
      ]
    case "AttemptStopped":
      return [part(`#${event.attempt} ${event.address} stopped${lasted(event, earlier)}`, "stopped")]
    case "AttemptConnected":
      return [part(`#${event.attempt} ${event.address} connected${lasted(event, earlier)}`, "connected")]
    case "Connected":
      return [
        part(
          `connected to ${event.address}${event.localAddress._tag === "Unix" ? "" : ` from ${event.localAddress}`}`,
          "connected"
        )
      ]
    case "DialFailed":
      return [part(`failed: ${outcomeText(event.error)}`, "failed")]
  }
}

type OfAttempt = DialEvent & { readonly attempt: number }

const since = (tag: DialEvent["_tag"]) => (end: OfAttempt, earlier: ReadonlyArray<DialEvent>): string => {
  const start = earlier.find((event) => event._tag === tag && "attempt" in event && event.attempt === end.attempt)
  return start === undefined ? "" : ` after ${millis(end.at - start.at)}`
}

const lasted = since("AttemptStarted")

const handshook = since("AttemptEstablishing")

const suffix = (code: string | undefined): string => code === undefined ? "" : ` (${code})`
