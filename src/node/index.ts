/**
 * The layers for Node, the only rooms that import `node:*`.
 *
 * @since 0.1.0
 */
export * as Duplex from "./Duplex.js"
export * as NodeNetwork from "./NodeNetwork.js"
export * as NodeResolver from "./NodeResolver.js"
export * as NodeSourceAddress from "./NodeSourceAddress.js"
export * as NodeTls from "./NodeTls.js"
export * as NodeTransport from "./NodeTransport.js"
