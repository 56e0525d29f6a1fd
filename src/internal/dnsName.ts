/**
 * Names in the wire form of RFC 1035 §3.1 and §4.1.4, shared by DnsMessage and ServiceBinding.
 *
 * dns-packet turns them into text and back. Before it does, the walk here has seen every octet: dns-packet joins labels
 * with dots, so that a dot inside a label would make another name, reads octets as UTF-8, so that several would make
 * one name, and follows pointers for as long as they lead backwards.
 */
import dnsPacket from "dns-packet"

/** Octets that are not what they should be: caught by `decode` of each module, and made into its typed error. */
export class WireError extends Error {
  constructor(readonly position: number, readonly reason: string) {
    super(reason)
  }
}

/** The codec of names of dns-packet, which exports it but whose types leave it out. */
const library = (dnsPacket as unknown as {
  readonly name: {
    readonly decode: (buffer: Uint8Array, offset: number) => string
    readonly encode: (name: string) => Uint8Array
  }
}).name

/** The same octets as the one kind of array that dns-packet takes. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  // oxlint-disable-next-line no-restricted-globals -- dns-packet stands on Buffer; none leaves these modules.
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** RFC 1035 §2.3.4: "names 255 octets or less", with the octet of the root. */
const maxNameOctets = 255

/** A name has at most 127 labels, so no more pointers than that can each have led to one. */
const maxPointers = 127

const headerOctets = 12

/**
 * What a name is seen to be. It is `plain` when its text stands for it and for no other: every octet is a visible ASCII
 * character but the dot and the backslash. Names of hosts and services are; the `\.` and `\DDD` that others would need
 * (RFC 1035 §5.1) are nothing a dial can use.
 */
export interface Span {
  /** The offset behind it where it stands, whatever its pointers lead to. */
  readonly end: number
  readonly plain: boolean
}

const isPlainOctet = (octet: number): boolean => octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c

/** Walks over the name at an offset; throws `WireError` for one that is cut short, too long or leads nowhere. */
export const spanAt = (bytes: Uint8Array, offset: number, pointers: boolean): Span => {
  // let: a cursor that jumps; recursion would be a call for every label of every name.
  let at = offset
  // let: see above
  let end = -1
  // let: see above
  let before = offset
  // let: see above
  let jumps = 0
  // let: see above
  let octets = 1
  // let: see above
  let plain = true
  for (;;) {
    const head = bytes[at]
    if (head === undefined) throw new WireError(at, "it ends inside a name")
    if (head === 0) return { end: end < 0 ? at + 1 : end, plain }
    if (head >= 0xc0) {
      const low = bytes[at + 1]
      if (!pointers) throw new WireError(at, "a name is compressed where it must not be")
      if (low === undefined) throw new WireError(at, "it ends inside a name")
      const to = ((head & 0x3f) << 8) | low
      // RFC 1035 §4.1.4: "a pointer to a prior occurance of the same name". Going only backwards, it cannot loop.
      if (to >= before || to < headerOctets) throw new WireError(at, "a pointer leads to no name before it")
      if (++jumps > maxPointers) throw new WireError(at, `a name has over ${maxPointers} pointers`)
      if (end < 0) end = at + 2
      at = before = to
    } else if (head >= 0x40) {
      throw new WireError(at, "a label is of an unknown type")
    } else {
      octets += head + 1
      if (octets > maxNameOctets) throw new WireError(at, `a name is over ${maxNameOctets} octets`)
      const next = at + head + 1
      if (next > bytes.length) throw new WireError(at, "it ends inside a name")
      for (at++; at < next; at++) plain &&= isPlainOctet(bytes[at] as number)
    }
  }
}

/** The text of a name that {@link spanAt} found plain, its case as it stands, `""` for the root. */
export const textAt = (buffer: Buffer, offset: number): string => {
  const text = library.decode(buffer, offset)
  return text === "." ? "" : text
}

/** Whether dns-packet would encode a text as the name that {@link textAt} would read: it checks no length itself. */
const isPlainName = (text: string): boolean =>
  text === "" || (text.length <= maxNameOctets - 2 && /^(?:[!-\-/-[\]-~]{1,63}(?:\.(?!$)|$))+$/.test(text))

/** A plain name in wire form, uncompressed. */
export const wireName = (text: string): Uint8Array => {
  if (!isPlainName(text)) throw new WireError(0, `${JSON.stringify(text.slice(0, 40))} cannot be a name in DNS`)
  return library.encode(text === "" ? "." : text)
}
