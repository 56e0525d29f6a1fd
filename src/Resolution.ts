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
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as Address from "./Address.js"
import * as AddressPlan from "./AddressPlan.js"
import type { Policy } from "./AddressSelection.js"
import { ResolveError } from "./DialError.js"
import type { PlannedAddress } from "./DialEvent.js"
import * as Endpoint from "./Endpoint.js"
import { endAll } from "./internal/endAll.js"
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
 * Who is asked, and who puts the addresses of one group in order (RFC 6724), telling the source of each if it can.
 *
 * @since 0.2.0
 * @category models
 */
export interface Ports {
  readonly resolver: Resolver.Resolver["Type"]
  readonly order: (addresses: ReadonlyArray<Address.IpAddress>) => Effect.Effect<ReadonlyArray<Sourced>>
}

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
): Effect.Effect<void> => new Resolution(ports, endpoint, options, listener).run

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

class Resolution {
  private readonly lookups = new Map<string, Lookup>()
  private readonly workers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
  private readonly main: Lookup
  private delay: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** Whether the race may know what is known. */
  private open = false
  /** Counts what was learned, so that a plan made meanwhile of less is not told. */
  private version = 0
  /** The newest plan that was told. */
  private told = ""

  constructor(
    private readonly ports: Ports,
    private readonly endpoint: Endpoint.Named,
    private readonly options: ResolutionOptions,
    private readonly listener: Listener
  ) {
    this.main = this.begin(endpoint.host)
  }

  get run(): Effect.Effect<void> {
    const { resolutionTimeout } = this.options
    const everything = Effect.zipRight(this.look(this.main), Effect.suspend(() => this.awaitWorkers()))
    const limited = resolutionTimeout === undefined
      ? everything
      : Effect.flatMap(
        Effect.timeoutOption(everything, resolutionTimeout),
        (done) => done._tag === "Some" ? Effect.void : this.giveUp
      )
    return Effect.ensuring(
      limited,
      Effect.suspend(() => endAll(this.delay === undefined ? this.workers : [...this.workers, this.delay]))
    )
  }

  private begin(name: Endpoint.DomainName): Lookup {
    const unanswered = new Set<Resolver.IpFamily | "services">(this.families)
    if (this.options.happyEyeballsV3 !== undefined) unanswered.add("services")
    const lookup: Lookup = { name, addresses: new Map(), services: [], unanswered }
    this.lookups.set(name.ascii, lookup)
    return lookup
  }

  private get families(): ReadonlyArray<Resolver.IpFamily> {
    return this.options.families ?? Resolver.families
  }

  private look(lookup: Lookup): Effect.Effect<void> {
    const query = { families: this.families, services: this.options.happyEyeballsV3 && this.endpoint.port }
    return Stream.runForEach(
      this.ports.resolver.resolve(lookup.name, query),
      (answer) => this.receive(lookup, answer)
    ).pipe(
      Effect.catchAll((error) => this.listener.answered(String(lookup.name), error)),
      Effect.zipRight(Effect.suspend(() => {
        lookup.unanswered.clear()
        return this.proceed
      }))
    )
  }

  private receive(lookup: Lookup, answer: Resolver.Answer): Effect.Effect<void> {
    const told = this.listener.answered(String(lookup.name), answer)
    this.version++
    switch (answer._tag) {
      case "Addresses":
        lookup.addresses.set(answer.family, answer.addresses.flatMap((ip) => this.usable(ip)))
        lookup.unanswered.delete(answer.family)
        return Effect.zipRight(told, this.proceed)
      case "NoAddresses":
        lookup.addresses.delete(answer.family)
        lookup.unanswered.delete(answer.family)
        return Effect.zipRight(told, this.proceed)
      case "Services":
        return Effect.flatMap(shuffled(answer.services), (services) => {
          lookup.services = services
          lookup.unanswered.delete("services")
          return Effect.zipRight(Effect.zipRight(told, this.lookAtTargets(lookup)), this.proceed)
        })
    }
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
      if (this.open) return this.plan
      if (!this.hasAddress) return Effect.void
      if (this.nothingPreferredIsMissing) {
        this.open = true
        return this.plan
      }
      return this.delay === undefined ? this.startDelay : Effect.void
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

  private get startDelay(): Effect.Effect<void> {
    const opening = Effect.suspend(() => {
      this.open = true
      return this.plan
    })
    return Effect.map(
      Effect.forkDaemon(Effect.interruptible(
        Effect.zipRight(Effect.sleep(this.options.resolutionDelay ?? defaultResolutionDelay), opening)
      )),
      (fiber) => {
        this.delay = fiber
      }
    )
  }

  /** The time for resolution is over. */
  private get giveUp(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const missing = [...this.lookups.values()].flatMap(({ name, unanswered }) =>
        [...unanswered].flatMap((kind) =>
          kind === "services" ? [] : [new ResolveError({ host: String(name), family: kind, reason: "Timeout" })]
        )
      )
      for (const { unanswered } of this.lookups.values()) unanswered.clear()
      return Effect.zipRight(
        Effect.forEach(
          missing,
          (error) => this.listener.answered(error.host, error),
          { discard: true }
        ),
        this.proceed
      )
    })
  }

  // ---------------------------------------------------------------------------
  // what the plan is
  // ---------------------------------------------------------------------------

  private get plan(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const version = this.version
      return Effect.flatMap(
        Effect.forEach(this.groups, (group) => this.ordered(group)),
        (groups) => {
          // Something was learned meanwhile: whoever brought it makes the plan.
          if (version !== this.version) return Effect.void
          const plan = groups.flat()
          const text = plan.map(({ address }) => String(address)).join(" ")
          if (text === this.told) return Effect.void
          this.told = text
          return this.listener.planned(plan)
        }
      )
    })
  }

  private ordered(group: Group): Effect.Effect<ReadonlyArray<PlannedAddress>> {
    const ports = new Map<string, Set<Address.Port>>()
    const add = (ip: Address.IpAddress, port: Address.Port) => {
      const known = ports.get(String(ip))
      if (known === undefined) ports.set(String(ip), new Set([port]))
      else known.add(port)
      return ip
    }
    const addresses = group.flatMap(({ hints, lookup, port }) => {
      const known = lookup === undefined ? [] : addressesOf(lookup)
      // RFC 9460 §7.3: hints are for until the answers are there.
      const families = new Set(this.families.filter((family) => lookup?.unanswered.has(family) ?? true))
      return [...known, ...hints.filter(({ family }) => families.has(family))].map((ip) => add(ip, port))
    })
    const { families, firstAddressFamilyCount, firstFamily = families?.[0] } = this.options
    const preferred = this.families.flatMap((family) => addresses.filter((ip) => ip.family === family))
    return Effect.map(this.ports.order(preferred), (sorted) => {
      const sources = new Map(sorted.map(({ address, source }) => [String(address), source]))
      return AddressPlan.interleave(sorted.map(({ address }) => address), { firstFamily, firstAddressFamilyCount })
        .flatMap((ip) => {
          const source = sources.get(String(ip))
          return [...ports.get(String(ip)) ?? []].map((port) => {
            const address = Address.socketAddress(ip, port)
            return source === undefined ? { address } : { address, source }
          })
        })
    })
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
      return known || Either.isLeft(name) ? [] : [this.begin(name.right)]
    })
    return Effect.forEach(targets, (target) =>
      Effect.map(
        Effect.forkDaemon(Effect.interruptible(this.look(target))),
        (fiber) => {
          this.workers.push(fiber)
        }
      ), { discard: true })
  }

  /** Wait for the lookups that others began, and those that these began. */
  private awaitWorkers(): Effect.Effect<void> {
    const failed = this.workers.map((fiber) => fiber.unsafePoll()).find((exit) => exit !== null && Exit.isFailure(exit))
    if (failed !== undefined && failed !== null && Exit.isFailure(failed)) {
      return Effect.failCause(failed.cause) as Effect.Effect<never>
    }
    const alive = this.workers.filter((fiber) => fiber.unsafePoll() === null)
    return alive.length === 0
      ? Effect.void
      : Effect.zipRight(Fiber.awaitAll(alive), Effect.suspend(() => this.awaitWorkers()))
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
