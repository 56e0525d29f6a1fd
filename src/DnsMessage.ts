/**
 * DNS messages as values (RFC 1035 §4): a question to bytes, bytes to an answer or a typed error.
 *
 * The bytes are the work of dns-packet. This room makes its loose objects into closed types.
 *
 * @since 0.2.0
 */
import * as Data from "effect/Data"
import type * as Either from "effect/Either"
import type { IpAddress } from "./Address.js"
import type { ServiceBinding } from "./ServiceBinding.js"

/**
 * The types of record that can be asked for and are decoded.
 *
 * @since 0.2.0
 * @category models
 */
export type RecordType = "A" | "AAAA" | "CNAME" | "SOA" | "SRV" | "HTTPS" | "SVCB" | "NS" | "PTR" | "TXT" | "MX"

/**
 * What is asked: `name` without a trailing dot, in the very case that goes on the wire.
 *
 * @since 0.2.0
 * @category models
 */
export interface Question {
  readonly name: string
  readonly type: RecordType
}

/**
 * RFC 1035 §4.1.1's RCODE, in words; a number for one that has none here.
 *
 * @since 0.2.0
 * @category models
 */
export type ResponseCode =
  | "NoError"
  | "FormatError"
  | "ServerFailure"
  | "NameError"
  | "NotImplemented"
  | "Refused"
  | number

/**
 * A resource record. `name` and every name in the data are lower-case without a trailing dot; `timeToLive` is in
 * seconds, 0 for one with its top bit set (RFC 2181 §8). A record of a type not decoded has `type: "Other"`.
 *
 * @since 0.2.0
 * @category models
 */
export type DnsRecord =
  & { readonly name: string; readonly timeToLive: number }
  & (
    | { readonly type: "A" | "AAAA"; readonly address: IpAddress }
    | { readonly type: "CNAME" | "NS" | "PTR"; readonly target: string }
    | {
      readonly type: "SOA"
      readonly primary: string
      readonly mailbox: string
      readonly serial: number
      readonly refresh: number
      readonly retry: number
      readonly expire: number
      readonly minimum: number
    }
    | {
      readonly type: "SRV"
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
    | { readonly type: "MX"; readonly preference: number; readonly target: string }
    | { readonly type: "TXT"; readonly texts: ReadonlyArray<Uint8Array> }
    | { readonly type: "HTTPS" | "SVCB"; readonly binding: ServiceBinding }
    | { readonly type: "Other"; readonly code: number; readonly data: Uint8Array }
  )

/**
 * A message that was received.
 *
 * @since 0.2.0
 * @category models
 */
export interface Message {
  readonly id: number
  readonly response: boolean
  readonly truncated: boolean
  readonly authoritative: boolean
  readonly recursionAvailable: boolean
  readonly responseCode: ResponseCode
  /** The question, its name in the very case that came back; `undefined` when there is none, or one of another type. */
  readonly question: Question | undefined
  readonly answers: ReadonlyArray<DnsRecord>
  readonly authorities: ReadonlyArray<DnsRecord>
  readonly additionals: ReadonlyArray<DnsRecord>
  /** The sender's UDP payload size, when it speaks EDNS (RFC 6891). */
  readonly udpPayloadSize: number | undefined
}

/**
 * Bytes that are not a DNS message, or not one this library would use. `position` is the offset of the octet, where it
 * is known.
 *
 * @since 0.2.0
 * @category errors
 */
export class MalformedMessage extends Data.TaggedError("MalformedMessage")<{
  readonly reason: string
  readonly position?: number | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    return `not a DNS message: ${this.reason}`
  }
}

/**
 * A question as bytes, with recursion desired. `udpPayloadSize` adds EDNS0's OPT record; without it there is none.
 *
 * @since 0.2.0
 * @category codec
 */
export const encodeQuestion = (
  _id: number,
  _question: Question,
  _options?: { readonly udpPayloadSize?: number | undefined }
): Uint8Array => {
  throw new Error("to be written")
}

/**
 * A response as bytes: what a name server in a test says.
 *
 * @since 0.2.0
 * @category codec
 */
export const encodeResponse = (_message: Message): Uint8Array => {
  throw new Error("to be written")
}

/**
 * Bytes as a message.
 *
 * @since 0.2.0
 * @category codec
 */
export const decode = (_bytes: Uint8Array): Either.Either<Message, MalformedMessage> => {
  throw new Error("to be written")
}
