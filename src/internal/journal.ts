import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SocketAddress } from "../Address.js"
import { AllAttemptsFailed, type AttemptReport, type DialPhase, DialTimeout, ResolveError } from "../DialError.js"
import * as DialEvent from "../DialEvent.js"
import * as Endpoint from "../Endpoint.js"

/** What a dial came to, as its error tells it. */
interface Story {
  readonly attempts: ReadonlyArray<AttemptReport>
  readonly unresolved: ReadonlyArray<ResolveError>
  readonly elapsedMillis: number
}

/** The events of one dial: told to the observers as they happen, and kept for the story its error tells. */
export class Journal {
  /** The addresses known from the start, for what was never tried; the events tell of the others. */
  planned: ReadonlyArray<SocketAddress> = []
  /** The families that were asked for and have no answer yet. */
  unanswered: ReadonlyArray<"inet" | "inet6"> = []
  private readonly events: Array<DialEvent.DialEvent> = []

  private constructor(
    private readonly endpoint: Endpoint.Endpoint,
    private readonly clock: Clock.Clock,
    private readonly startedAt: bigint,
    private readonly tellers: ReadonlyArray<(event: DialEvent.DialEvent) => void>
  ) {}

  static begin(endpoint: Endpoint.Endpoint): Effect.Effect<Journal> {
    return Effect.flatMap(DialEvent.Observer, ({ observers }) =>
      Effect.clockWith((clock) => {
        const startedAt = clock.unsafeCurrentTimeNanos()
        return observers.length === 0
          ? Effect.succeed(new Journal(endpoint, clock, startedAt, []))
          : Effect.map(
            Effect.forEach(observers, (observe) => untroubled(() => observe(endpoint), () => {})),
            (tellers) => new Journal(endpoint, clock, startedAt, tellers)
          )
      }))
  }

  /** Whether anybody is told; what only observers want need not be made otherwise. */
  get observed(): boolean {
    return this.tellers.length > 0
  }

  /** What became so far of an address. */
  reportOf(address: SocketAddress): AttemptReport | undefined {
    return DialEvent.reports(this.events, 0).find((report) => String(report.address) === String(address))
  }

  record(make: (at: number) => DialEvent.DialEvent): Effect.Effect<void> {
    if (!this.observed) {
      return Effect.sync(() => {
        this.events.push(make(this.elapsed))
      })
    }
    return Effect.suspend(() => {
      const event = make(this.elapsed)
      this.events.push(event)
      return Effect.forEach(this.tellers, (tell) => untroubled(() => tell(event), undefined), { discard: true })
    })
  }

  /** The error of a dial with no candidate left. */
  get failure(): Effect.Effect<never, AllAttemptsFailed | ResolveError> {
    return Effect.flatMap(
      this.story,
      (story): Effect.Effect<never, AllAttemptsFailed | ResolveError> =>
        story.attempts.length === 0 && this.events.some((event) => event._tag === "ResolutionStarted")
          ? Effect.fail(noAddress(Endpoint.hostText(this.endpoint), story.unresolved))
          : Effect.fail(new AllAttemptsFailed({ endpoint: Endpoint.format(this.endpoint), ...story }))
    )
  }

  /** The error of a dial whose time is over. An attempt that it stopped was running; else it was waiting for a name. */
  timeout(timeoutMillis: number): Effect.Effect<never, DialTimeout> {
    return Effect.flatMap(this.story, ({ attempts, unresolved }) =>
      Effect.fail(
        new DialTimeout({
          endpoint: Endpoint.format(this.endpoint),
          phase: phaseOf(attempts),
          timeoutMillis,
          attempts,
          unresolved: [
            ...unresolved,
            ...this.unanswered.map((family) =>
              new ResolveError({ host: Endpoint.hostText(this.endpoint), family, reason: "Timeout" })
            )
          ]
        })
      ))
  }

  private get story(): Effect.Effect<Story> {
    return Effect.sync(() => {
      const elapsedMillis = this.elapsed
      return {
        attempts: DialEvent.reports(this.events, elapsedMillis, this.planned),
        unresolved: DialEvent.unresolved(this.events),
        elapsedMillis
      }
    })
  }

  private get elapsed(): number {
    return Number(this.clock.unsafeCurrentTimeNanos() - this.startedAt) / 1e6
  }
}

/** What was going on: of the attempts that were stopped, the one that had come furthest says it. */
const phaseOf = (attempts: ReadonlyArray<AttemptReport>): DialPhase => {
  const phases = attempts.flatMap((report) => report.outcome === "Stopped" ? [report.phase ?? "connecting"] : [])
  return phases.includes("establishing") ? "establishing" : phases[0] ?? "resolving"
}

/** No family had an address. The error that says most is told; all of them are its cause. */
export const noAddress = (host: string, errors: ReadonlyArray<ResolveError>): ResolveError => {
  const telling = errors.find((error) => error.reason !== "NotFound") ?? errors[0]
  return new ResolveError({
    host,
    family: errors.length === 1 ? telling?.family : undefined,
    reason: telling?.reason ?? "NotFound",
    code: telling?.code,
    detail: telling?.detail,
    cause: errors.length === 1 ? telling : new AggregateError(errors, "no family had an address")
  })
}

/** An observer that throws is logged and gives `otherwise`; it never changes what it observes. */
const untroubled = <A>(call: () => A, otherwise: A): Effect.Effect<A> =>
  Effect.catchAllDefect(
    Effect.sync(call),
    (defect) => Effect.as(Effect.logError("a DialEvent observer threw", Cause.die(defect)), otherwise)
  )
