/**
 * From the answers to a name, as they come, to the plans of a dial (RFC 8305 §3 and §4).
 *
 * What must be true:
 *
 * - nothing waits for an answer that need not come: a positive answer of the preferred family (IPv6, unless the user
 *   says otherwise) opens the race at once, a negative one lets the other family in at once, and one that does not come
 *   holds the other back for the Resolution Delay and no longer
 * - once the race is open every answer makes a new plan, as if it had been there from the start: what has started stays
 *   as it is, the rest is in the new order, and an address that the newest answer of its family does not have is gone
 * - with HTTPS records asked for (the Happy Eyeballs v3 draft), the records' priorities group the plan, their ports and
 *   hints count, and the name itself comes last
 *
 * An unspecified address (0.0.0.0, ::) in an answer is what a DNS sinkhole says for "no", and the kernel takes it for
 * this machine: it is not planned. A mapped one is the IPv4 address it stands for.
 *
 * Not here: the sort (`AddressSelection`) and the alternation (`AddressPlan`) of one group, and the race.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Address from "./Address.js"
import * as AddressPlan from "./AddressPlan.js"
import type { Policy } from "./AddressSelection.js"
import { ResolveError } from "./DialError.js"
import type { PlannedAddress } from "./DialEvent.js"
import * as Endpoint from "./Endpoint.js"
import { type Alarm, setAlarm } from "./internal/alarm.js"
import { endAll, letEnd } from "./internal/endAll.js"
import * as Feed from "./internal/feed.js"
import { startNow } from "./internal/startNow.js"
import type { Timers } from "./internal/timers.js"
import * as Resolver from "./Resolver.js"
import * as ServiceBinding from "./ServiceBinding.js"

/**
 * RFC 8305 §8: "Resolution Delay: The time to wait for a AAAA response after receiving an A response. Recommended to be
 * 50 milliseconds."
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultResolutionDelay: Duration.DurationInput = "50 millis"

/**
 * How a name becomes plans.
 *
 * @since 0.2.0
 * @category models
 */
export interface ResolutionOptions extends AddressPlan.InterleaveOptions {
  /**
   * The families to use, the preferred one first. With one family the other is not even asked for.
   *
   * @default both, in the order RFC 6724 gives
   */
  readonly families?: readonly [Resolver.IpFamily, ...ReadonlyArray<Resolver.IpFamily>] | undefined
  /**
   * RFC 6724's policy table, for the order of the addresses.
   *
   * @default {@link AddressSelection.defaultPolicy}
   */
  readonly policy?: Policy | undefined
  /**
   * How long an address of the other family waits for an answer of the preferred one.
   *
   * @default {@link defaultResolutionDelay}
   */
  readonly resolutionDelay?: Duration.DurationInput | undefined
  /** How long resolution may take in all; what is unanswered then is a `Timeout`. `undefined`: no limit of its own. */
  readonly resolutionTimeout?: Duration.DurationInput | undefined
  /**
   * Ask for the name's HTTPS records too and follow them, as draft-ietf-happy-happyeyeballs-v3 has it. A resolver that
   * cannot (the system's) makes no difference.
   *
   * @default undefined, which does not ask
   */
  readonly happyEyeballsV3?: V3Options | undefined
}

/**
 * What a client of HTTPS records (RFC 9460) speaks.
 *
 * @since 0.2.0
 * @category models
 */
export interface V3Options {
  /**
   * The protocols this client speaks over a stream (ALPN ids). A record that offers none of them is not used.
   *
   * @default any but h3, which is not spoken over a stream
   */
  readonly alpn?: ReadonlyArray<string> | undefined
}

/**
 * Who is asked, and who puts the addresses of one group in order (RFC 6724), telling the source of each if it can;
 * without `order` they stay as they came.
 *
 * @since 0.2.0
 * @category models
 */
export interface Ports {
  readonly resolver: Resolver.Resolver["Type"]
  readonly order?: Order | undefined
  /** @internal */
  readonly timers?: Timers | undefined
}

/**
 * Addresses in their order. It may wait, for what the kernel says; answers are dealt with meanwhile.
 *
 * @since 0.2.0
 * @category models
 */
export type Order = (addresses: ReadonlyArray<Address.IpAddress>) => Effect.Effect<ReadonlyArray<Sourced>>

/**
 * An address and where it would be reached from.
 *
 * @since 0.2.0
 * @category models
 */
export interface Sourced {
  readonly address: Address.IpAddress
  readonly source?: Address.IpAddress | undefined
}

/**
 * Who is told: of each answer, or failure of a whole lookup, and of each plan.
 *
 * @since 0.2.0
 * @category models
 */
export interface Listener {
  readonly answered: (name: string, answer: Resolver.Answer | ResolveError) => Effect.Effect<void>
  readonly planned: (plan: ReadonlyArray<PlannedAddress>) => Effect.Effect<void>
}

/**
 * Resolve the endpoint's name: ends when every answer is in or the time for it is over. Interrupting it gives the
 * lookups up.
 *
 * @since 0.2.0
 * @category resolving
 */
export const run = (
  ports: Ports,
  endpoint: Endpoint.Named,
  options: ResolutionOptions,
  listener: Listener
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) => {
    const resolution = new Resolution(ports, endpoint, options, listener)
    const rest: Effect.Effect<void> = Effect.flatMap(resolution.catchUp, (all) =>
      all
        ? Effect.void
        : Effect.zipRight(
          restore(Effect.async<void>((resume) => resolution.wakes(() => resume(Effect.void)))),
          rest
        ))
    return Effect.ensuring(Effect.zipRight(resolution.begin, rest), resolution.leave)
  })

/** What is known of one name, and what is still asked. */
interface Lookup {
  readonly name: Endpoint.DomainName
  readonly addresses: Map<Resolver.IpFamily, ReadonlyArray<Address.IpAddress>>
  services: ReadonlyArray<ServiceBinding.ServiceBinding>
  readonly unanswered: Set<Resolver.IpFamily | "services">
}

/** Where to connect: hosts of one priority, each with its port and its hints. */
type Group = ReadonlyArray<{
  readonly lookup: Lookup | undefined
  readonly port: Address.Port
  readonly hints: ReadonlyArray<Address.IpAddress>
}>

/** How far a chain of AliasMode records is followed: RFC 9460 §3 wants a limit, as CNAME chains have. */
const longestAliasChain = 8

/** How many names one dial may come to ask for, whatever the records say. */
const mostLookups = 16

type Message =
  | { readonly _tag: "Answered"; readonly lookup: Lookup; readonly answer: Resolver.Answer }
  | { readonly _tag: "Ended"; readonly lookup: Lookup; readonly exit: Exit.Exit<void, ResolveError> }
  | { readonly _tag: "DelayOver" }
  | { readonly _tag: "TimeOver" }
  | { readonly _tag: "Sorted"; readonly exit: Exit.Exit<ReadonlyArray<PlannedAddress>> }

/**
 * One resolution in its parts, for who has to know what is there at once: `begin`; then `catchUp`, again whenever it
 * `wakes`; and `leave` in any case. None of them waits for anything, but for `leave`, and none is to be interrupted.
 *
 * @internal
 */
export class Resolution {
  private readonly messages: Array<Message> = []
  private readonly lookups = new Map<string, Lookup>()
  /** What leaves each lookup. */
  private readonly leaves = new Map<Lookup, Effect.Effect<void>>()
  private readonly alarms: Array<Alarm> = []
  private readonly main: Lookup
  /** Lookups that have not ended. */
  private left = 0
  /** Whether the time for resolution is over: what still comes of the lookups is nobody's then. */
  private givenUp = false
  /** Where the Resolution Delay is. */
  private delay: "not begun" | "running" | "over" = "not begun"
  /** Whether the race may know what is known. */
  private open = false
  /** Told once that there is something for `catchUp`, until that has run. */
  private wake: (() => void) | undefined
  private woken = false
  /** The order that waits for something. */
  private sorting: Fiber.RuntimeFiber<ReadonlyArray<PlannedAddress>> | undefined
  /** Whether all that is known was thought of. */
  private planned = true
  /** The newest plan that was told. */
  private told: ReadonlyArray<PlannedAddress> = []

  constructor(
    private readonly ports: Ports,
    private readonly endpoint: Endpoint.Named,
    private readonly options: ResolutionOptions,
    private readonly listener: Listener
  ) {
    this.main = this.add(endpoint.host)
  }

  /** Ask. */
  get begin(): Effect.Effect<void> {
    const { resolutionTimeout } = this.options
    const asked = this.look(this.main)
    return resolutionTimeout === undefined
      ? asked
      : Effect.zipRight(asked, this.alarm(resolutionTimeout, { _tag: "TimeOver" }))
  }

  /** Deal with all that has come, as with one answer. Whether that was all there will be. */
  get catchUp(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      this.woken = false
      const message = this.over ? undefined : this.messages.shift()
      return message === undefined
        ? Effect.map(this.proceed, () => this.over)
        : Effect.flatMap(this.receive(message), () => this.catchUp)
    })
  }

  /** Who is to run `catchUp` when something has come. */
  wakes(wake: () => void): void {
    this.wake = wake
    if (this.woken) wake()
  }

  private post(message: Message): void {
    this.messages.push(message)
    if (this.woken) return
    this.woken = true
    this.wake?.()
  }

  /** Give up what is asked still. */
  get leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.idle && this.alarms.length === 0) return Effect.void
      const ends = [...this.leaves.values(), ...this.alarms.splice(0).map(({ stop }) => stop)]
      if (this.sorting !== undefined) ends.push(endAll([this.sorting]))
      this.leaves.clear()
      return Effect.forEach(ends, (end) => end, { discard: true })
    })
  }

  /** {@link leave}, without waiting for what itself waits for something. */
  get leavePromptly(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.idle
        ? this.leave
        : Effect.flatMap(Effect.forkDaemon(this.leave), (fiber) => letEnd([fiber]))
    )
  }

  /** Whether nothing is under way. */
  private get idle(): boolean {
    return this.leaves.size === 0 && this.sorting === undefined
  }

  private get over(): boolean {
    return (this.left === 0 || this.givenUp) && this.sorting === undefined
  }

  private add(name: Endpoint.DomainName): Lookup {
    const unanswered = new Set<Resolver.IpFamily | "services">(this.families)
    if (this.options.happyEyeballsV3 !== undefined) unanswered.add("services")
    const lookup: Lookup = { name, addresses: new Map(), services: [], unanswered }
    this.lookups.set(name.ascii, lookup)
    this.left += 1
    return lookup
  }

  private get families(): ReadonlyArray<Resolver.IpFamily> {
    return this.options.families ?? Resolver.families
  }

  private look(lookup: Lookup): Effect.Effect<void> {
    const query = { families: this.families, services: this.options.happyEyeballsV3 && this.endpoint.port }
    return Effect.map(
      Effect.suspend(() =>
        Feed.fromStream(this.ports.resolver.resolve(lookup.name, query))(
          (answer) => this.post({ _tag: "Answered", lookup, answer }),
          (exit) => this.post({ _tag: "Ended", lookup, exit })
        )
      ),
      (leave) => {
        // What is known already holds nothing, and has nobody to end it.
        if (leave !== Effect.void) this.leaves.set(lookup, leave)
      }
    )
  }

  private alarm(duration: Duration.DurationInput, message: Message): Effect.Effect<void> {
    return Effect.map(setAlarm(this.ports.timers, duration, () => this.post(message)), (alarm) => {
      this.alarms.push(alarm)
    })
  }

  private receive(message: Message): Effect.Effect<void> {
    switch (message._tag) {
      case "Answered":
        return this.givenUp ? Effect.void : this.answered(message.lookup, message.answer)
      case "Ended":
        return this.givenUp ? Effect.void : this.ended(message.lookup, message.exit)
      case "DelayOver":
        this.delay = "over"
        this.planned = false
        return Effect.void
      case "TimeOver":
        return this.giveUp
      case "Sorted":
        this.sorting = undefined
        return Effect.flatMap(message.exit, (plan) => this.plan(plan))
    }
  }

  private answered(lookup: Lookup, answer: Resolver.Answer): Effect.Effect<void> {
    const told = this.listener.answered(String(lookup.name), answer)
    this.planned = false
    switch (answer._tag) {
      case "Addresses":
        lookup.addresses.set(answer.family, answer.addresses.flatMap((ip) => this.usable(ip)))
        lookup.unanswered.delete(answer.family)
        return told
      case "NoAddresses":
        lookup.addresses.delete(answer.family)
        lookup.unanswered.delete(answer.family)
        return told
      case "Services":
        if (this.options.happyEyeballsV3 === undefined) return told
        return Effect.flatMap(shuffled(answer.services), (services) => {
          lookup.services = services
          lookup.unanswered.delete("services")
          return Effect.zipRight(told, this.lookAtTargets(lookup))
        })
    }
  }

  private ended(lookup: Lookup, exit: Exit.Exit<void, ResolveError>): Effect.Effect<void> {
    this.left -= 1
    if (lookup.unanswered.size > 0) this.planned = false
    lookup.unanswered.clear()
    const told = Exit.isSuccess(exit) ? Effect.void : Either.match(Cause.failureOrCause(exit.cause), {
      onLeft: (error) => this.listener.answered(String(lookup.name), error),
      onRight: (cause) => Effect.failCause(cause)
    })
    return Effect.zipRight(this.release(lookup), told)
  }

  /** What a lookup held goes when it ends. Nobody waits for that here; `leave` does. */
  private release(lookup: Lookup): Effect.Effect<void> {
    const leave = this.leaves.get(lookup)
    return leave === undefined ? Effect.void : Effect.map(startNow(leave), (fiber) => {
      this.leaves.set(lookup, Effect.asVoid(fiber.await))
      fiber.addObserver(() => this.leaves.delete(lookup))
    })
  }

  private usable(ip: Address.IpAddress): ReadonlyArray<Address.IpAddress> {
    const plain = Address.unmap(ip)
    return Address.isUnspecified(plain) || !this.families.includes(plain.family) ? [] : [plain]
  }

  // ---------------------------------------------------------------------------
  // when the race may begin
  // ---------------------------------------------------------------------------

  /** Tell the plan if it is time for it, or see to it that the time comes. */
  private get proceed(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.planned || this.sorting !== undefined) return Effect.void
      this.planned = true
      if (this.open) return this.order
      if (!this.hasAddress) return Effect.void
      if (this.nothingPreferredIsMissing || this.delay === "over") {
        this.open = true
        return this.order
      }
      if (this.delay === "running") return Effect.void
      this.delay = "running"
      return this.alarm(this.options.resolutionDelay ?? defaultResolutionDelay, { _tag: "DelayOver" })
    })
  }

  private get hasAddress(): boolean {
    return this.groups.some((group) =>
      group.some(({ hints, lookup }) => hints.length > 0 || lookup !== undefined && addressesOf(lookup).length > 0)
    )
  }

  private get nothingPreferredIsMissing(): boolean {
    const [preferred] = this.families
    return [...this.lookups.values()].every(({ unanswered }) =>
      !unanswered.has("services") && (preferred === undefined || !unanswered.has(preferred))
    )
  }

  /** The time for resolution is over. */
  private get giveUp(): Effect.Effect<void> {
    const missing = [...this.lookups.values()].flatMap(({ name, unanswered }) =>
      [...unanswered].flatMap((kind) =>
        kind === "services" ? [] : [new ResolveError({ host: String(name), family: kind, reason: "Timeout" })]
      )
    )
    for (const { unanswered } of this.lookups.values()) {
      if (unanswered.size > 0) this.planned = false
      unanswered.clear()
    }
    this.givenUp = true
    return Effect.forEach(missing, (error) => this.listener.answered(error.host, error), { discard: true })
  }

  // ---------------------------------------------------------------------------
  // what the plan is
  // ---------------------------------------------------------------------------

  private get order(): Effect.Effect<void> {
    const { order } = this.ports
    if (order === undefined) {
      return this.plan(this.groups.flatMap((group) => {
        const { addresses, arrange } = this.reachable(group)
        return arrange(addresses.map((address) => ({ address })))
      }))
    }
    const plans = Effect.forEach(this.groups, (group) => {
      const { addresses, arrange } = this.reachable(group)
      return Effect.map(order(addresses), arrange)
    })
    return Effect.flatMap(startNow(Effect.map(plans, (plans) => plans.flat())), (fiber) => {
      const exit = fiber.unsafePoll()
      if (exit !== null) return Effect.flatMap(exit, (plan) => this.plan(plan))
      this.sorting = fiber
      fiber.addObserver((exit) => this.post({ _tag: "Sorted", exit }))
      return Effect.void
    })
  }

  private plan(plan: ReadonlyArray<PlannedAddress>): Effect.Effect<void> {
    if (samePlan(plan, this.told)) return Effect.void
    this.told = plan
    return this.listener.planned(plan)
  }

  /** The addresses of a group, and what becomes of them once they are in order. */
  private reachable(group: Group) {
    const reachable = group.map(({ hints, lookup, port }) => {
      const known = lookup === undefined ? [] : addressesOf(lookup)
      // RFC 9460 §7.3: hints are for until the answers are there.
      const wanted = (family: Resolver.IpFamily) => lookup?.unanswered.has(family) ?? true
      return { port, addresses: [...known, ...hints.filter(({ family }) => wanted(family))] }
    })
    const all = reachable.flatMap(({ addresses }) => addresses)
    const { families, firstAddressFamilyCount, firstFamily = families?.[0] } = this.options
    const portsOf = portsIn(reachable)
    return {
      addresses: this.families.flatMap((family) => all.filter((ip) => ip.family === family)),
      arrange: (sorted: ReadonlyArray<Sourced>): ReadonlyArray<PlannedAddress> =>
        AddressPlan.alternate(sorted, { firstFamily, firstAddressFamilyCount }).flatMap(({ address: ip, source }) =>
          portsOf(ip).map((port) => {
            const address = Address.socketAddress(ip, port)
            return source === undefined ? { address } : { address, source }
          })
        )
    }
  }

  /** The records in the order of their priorities; the name itself is tried after them (RFC 9460 §3, SVCB-optional). */
  private get groups(): ReadonlyArray<Group> {
    return [...this.bound(this.main, 0) ?? [], this.ownGroup(this.main)]
  }

  private ownGroup(lookup: Lookup): Group {
    return [{ lookup, port: this.endpoint.port, hints: [] }]
  }

  /**
   * What the records of a name lead to; `undefined` for a chain of aliases that is too long, or does not end, as if there
   * were no records at all (RFC 9460 §3.1).
   */
  private bound(lookup: Lookup, depth: number): ReadonlyArray<Group> | undefined {
    const { alias, services } = this.modes(lookup)
    if (alias !== undefined) {
      const target = this.targetOf(lookup, alias)
      const groups = target === undefined || depth === longestAliasChain ? undefined : this.bound(target, depth + 1)
      // §3: the last name of the chain itself, in case it has addresses and no records.
      return groups === undefined || target === undefined || this.modes(target).alias !== undefined
        ? groups
        : [...groups, this.ownGroup(target)]
    }
    const priorities = [...new Set(services.map(({ priority }) => priority))].toSorted((self, that) => self - that)
    return priorities.map((priority) =>
      services.filter((service) => service.priority === priority).map((service) => ({
        lookup: this.targetOf(lookup, service),
        port: service.port ?? this.endpoint.port,
        hints: [...service.ipv6Hint, ...service.ipv4Hint].flatMap((ip) => this.usable(ip))
      }))
    )
  }

  /**
   * RFC 9460 §2.4.1: with an AliasMode record the others are ignored. One without a target says that there is no such
   * service, which a client may ignore (§2.5.1), and this one does: the name's own addresses are what there is.
   */
  private modes({ services }: Lookup) {
    const aliases = services.filter(ServiceBinding.isAlias)
    const alias = aliases.find(({ target }) => target !== "")
    return { alias, services: aliases.length > 0 ? [] : services.filter((service) => this.speaks(service)) }
  }

  private speaks(service: ServiceBinding.ServiceBinding): boolean {
    const wanted = this.options.happyEyeballsV3?.alpn
    return ServiceBinding.isUsable(service) &&
      ServiceBinding.alpnOf(service, ["http/1.1"]).some((id) =>
        id !== "h3" && (wanted === undefined || wanted.includes(id))
      )
  }

  private targetOf(lookup: Lookup, { target }: ServiceBinding.ServiceBinding): Lookup | undefined {
    return target === "" ? lookup : this.lookups.get(target)
  }

  /** Look up the hosts that the records name and nobody has asked for. */
  private lookAtTargets(lookup: Lookup): Effect.Effect<void> {
    const { alias, services } = this.modes(lookup)
    const targets = (alias === undefined ? services : [alias]).flatMap(({ target }) => {
      const name = Endpoint.domainName(`${target}.`)
      const known = this.lookups.has(target) || this.lookups.size > mostLookups
      return known || Either.isLeft(name) ? [] : [this.add(name.right)]
    })
    return Effect.uninterruptible(Effect.forEach(targets, (target) => this.look(target), { discard: true }))
  }
}

/** RFC 9460 §2.4.1 and §7.3: records of one priority, one of several aliases, and hints are used in a random order. */
const shuffled = (
  services: ReadonlyArray<ServiceBinding.ServiceBinding>
): Effect.Effect<ReadonlyArray<ServiceBinding.ServiceBinding>> =>
  Effect.flatMap(
    shuffle(services),
    (services) =>
      Effect.forEach(services, (service) =>
        Effect.zipWith(shuffle(service.ipv4Hint), shuffle(service.ipv6Hint), (ipv4Hint, ipv6Hint) => ({
          ...service,
          ipv4Hint,
          ipv6Hint
        })))
  )

const shuffle = <A>(list: ReadonlyArray<A>): Effect.Effect<ReadonlyArray<A>> =>
  list.length < 2 ? Effect.succeed(list) : Effect.map(Random.shuffle(list), Chunk.toReadonlyArray)

const addressesOf = (lookup: Lookup): ReadonlyArray<Address.IpAddress> => [...lookup.addresses.values()].flat()

const samePlan = (self: ReadonlyArray<PlannedAddress>, that: ReadonlyArray<PlannedAddress>): boolean =>
  self.length === that.length && self.every(({ address }, index) => Equal.equals(address, that[index]?.address))

/** The ports at which each address is reached, of hosts each of which has one. */
const portsIn = (
  hosts: ReadonlyArray<{ readonly port: Address.Port; readonly addresses: ReadonlyArray<Address.IpAddress> }>
): (ip: Address.IpAddress) => ReadonlyArray<Address.Port> => {
  const [only] = hosts
  if (only !== undefined && hosts.length === 1) {
    const ports = [only.port]
    return () => ports
  }
  const ports = new Map<string, Set<Address.Port>>()
  for (const { addresses, port } of hosts) {
    for (const ip of addresses) ports.set(String(ip), (ports.get(String(ip)) ?? new Set()).add(port))
  }
  return (ip) => [...ports.get(String(ip)) ?? []]
}
