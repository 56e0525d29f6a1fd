/**
 * The public modules, in floor order: the map of the house. Each imports its own floor or one below.
 *
 * @since 0.1.0
 */

// vocabulary, pure
export * as Address from "./Address.js"
export * as Certificate from "./Certificate.js"
export * as DialError from "./DialError.js"
export * as DialEvent from "./DialEvent.js"
export * as DnsMessage from "./DnsMessage.js"
export * as Endpoint from "./Endpoint.js"
export * as ServiceBinding from "./ServiceBinding.js"
export * as SocketOptions from "./SocketOptions.js"
export * as TlsError from "./TlsError.js"
export * as TlsOptions from "./TlsOptions.js"
export * as TlsSession from "./TlsSession.js"

// ports: tags and types
export * as Connection from "./Connection.js"
export * as DnsConfig from "./DnsConfig.js"
export * as Resolver from "./Resolver.js"
export * as SourceAddress from "./SourceAddress.js"
export * as Transport from "./Transport.js"

// algorithms
export * as AddressPlan from "./AddressPlan.js"
export * as AddressSelection from "./AddressSelection.js"
export * as Attempt from "./Attempt.js"
export * as DnsExchange from "./DnsExchange.js"
export * as DnsHttps from "./DnsHttps.js"
export * as HappyEyeballs from "./HappyEyeballs.js"
export * as History from "./History.js"
export * as Resolution from "./Resolution.js"

// endpoint in, connection out
export * as Dialer from "./Dialer.js"
export * as DialOptions from "./DialOptions.js"
export * as DnsResolver from "./DnsResolver.js"
export * as Nat64 from "./Nat64.js"

// upgrades
export * as Tls from "./Tls.js"

// management
export * as Connector from "./Connector.js"
