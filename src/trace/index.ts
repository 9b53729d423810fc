/** Memory traces: reading, converting. Public as `pagewalk/trace`. */
export {
  AccessBatch, BATCH_CAPACITY, KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE,
} from './batch.ts';
export type { TraceEvent, TraceReader } from './batch.ts';
export { convertTrace, formatOfName, WRITABLE_FORMATS } from './convert.ts';
export type { ConvertOptions, ConvertResult, WritableFormat } from './convert.ts';
export { DinWriter } from './din-writer.ts';
export { LackeyWriter } from './lackey-writer.ts';
export { openTrace } from './open.ts';
export type { OpenOptions } from './open.ts';
export { PwtWriter } from './pwt-writer.ts';
export { TRACE_FORMATS } from './trace-format.ts';
export type { TraceFormat } from './trace-format.ts';
export type { ByteSink, TraceWriter } from './trace-writer.ts';
export type { NumaPolicy, PagePolicy } from './placement.ts';
export { replay } from './replay.ts';
export type { ReplayOptions } from './replay.ts';
export type { Cycles, MapRegion, ReplayResult, ReplayRun, SeriesPoint, TlbCounts, TraceSummary, WorkingSetPoint } from './replay-result.ts';
export { CHASE_KINDS, runChase } from './chase.ts';
export type { ChaseKind, ChaseOptions, ChaseResult } from './chase.ts';
