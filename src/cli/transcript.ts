/**
 * A dial as a log: a line for each event, to be printed as it happens where there is no terminal to draw on. Pure.
 */
import type { DialEvent } from "../DialEvent.js"
import { type Line, part } from "./lines.js"
import { millis, outcomeText, reasonText, recordType, serviceText } from "./words.js"

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
    case "AttemptFailed":
      return [
        part(
          `#${event.attempt} ${event.address} failed${lasted(event, earlier)}: ${reasonText(event.error.reason)}${
            suffix(event.error.code)
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

const lasted = (end: DialEvent & { readonly attempt: number }, earlier: ReadonlyArray<DialEvent>): string => {
  const start = earlier.find((event) => event._tag === "AttemptStarted" && event.attempt === end.attempt)
  return start === undefined ? "" : ` after ${millis(end.at - start.at)}`
}

const suffix = (code: string | undefined): string => code === undefined ? "" : ` (${code})`
