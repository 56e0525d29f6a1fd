/**
 * What stands on @effect/platform.
 *
 * @since 0.2.0
 */
export * as PlatformSocket from "./PlatformSocket.js"
