/** The client tools as a library: `import { daytime } from 'smallservd/client'`. */
export type { AddressKind } from '../address/address-kind.ts';
export type { ProtocolEntry } from '../address/protocol-numbers.ts';
export type { ServiceEntry } from '../address/service-ports.ts';
export type { Endpoint } from './dial/connection.ts';
export type { Family, HostAddress } from './dial/resolve-host.ts';
export { type ErrorCode, SmallservdError } from '../errors.ts';
export type { Outcome } from '../outcomes.ts';
export { type Chargen, type ChargenOptions, chargen } from './chargen.ts';
export type { Deviation } from './chargen-pattern.ts';
export { type CheckOutcome, type CheckResult, type ConformOptions, type ConformResult, conform } from './conform.ts';
export { type Daytime, daytime } from './daytime.ts';
export { discard } from './discard.ts';
export type { Discarded, DiscardOptions } from './discarded.ts';
export { type Deliver, type Echoed, echo, type EchoPipeOptions } from './echo.ts';
export { type EchoPingEvent, type EchoPingOptions, type EchoPingResult, echoPing } from './echo-ping.ts';
export type { FlowSummary } from './requests/flows.ts';
export { type HeadAnswer, type Header, type HeadOptions, head } from './head.ts';
export { type IpAnswer, ip } from './ip.ts';
export type { LatencyBucket, LatencySummary } from './latency.ts';
export {
  type LoadFlow,
  type LoadOptions,
  type LoadProgress,
  type LoadResult,
  type LoadSecond,
  type LoadService,
  load,
  type OpenLoopResult,
} from './load.ts';
export { lookupCanonicalName, lookupHost } from './lookup-host.ts';
export { lookupPort, type PortAnswer } from './lookup-port.ts';
export { lookupProtocol } from './lookup-protocol.ts';
export { type MaskAnswer, mask } from './mask.ts';
export { type MtuEvent, type MtuOptions, type MtuResult, mtu } from './mtu.ts';
export {
  type Attempt,
  Attempts,
  type ClientOptions,
  type EitherProtocolOptions,
  type PathControls,
} from './options.ts';
export type { DirectionMtu, ForwardLimit, PathMtu } from './mtu/path-mtu.ts';
export { type PingErrors, type PingEvent, type PingOptions, type PingResult, ping } from './ping.ts';
export {
  type ProbeOptions,
  type ProbeResult,
  type ProbeSample,
  type ProbeTransport,
  probe,
  probeSamples,
  type TlsSession,
} from './probe.ts';
export { qotd } from './qotd.ts';
export { resolve } from './resolve.ts';
export type { RoundTripSummary } from './round-trips.ts';
export { echoPingSamples, loadSamples, pingSamples, Samples, stampSamples } from './samples.ts';
export type { OneWaySummary } from './stamp/one-way-delay.ts';
export type { OneWayLoss } from './stamp/one-way-loss.ts';
export type { ReflectorMode } from './stamp/reflector-mode.ts';
export { stamp } from './stamp.ts';
export type {
  StampArrival,
  StampClock,
  StampEvent,
  StampFlowSummary,
  StampJitter,
  StampOptions,
  StampReplyEvent,
  StampResult,
} from './stamp/measurement.ts';
export { systat } from './systat.ts';
export type { Text } from './text.ts';
export { type Time, time } from './time.ts';
export type { ProgressOptions, Transfer } from './transfer.ts';
