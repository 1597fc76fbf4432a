export {
  type Accumulator,
  AccumulatorRegistry,
  type AccumulatorValue,
  AverageAccumulator,
  accumulatorResult,
  DoubleCounter,
  Histogram,
  IntCounter,
  ListAccumulator,
  LongCounter,
  Maximum,
  Minimum,
  mergeAccumulator,
  mergedAccumulators,
} from './accumulator.ts'
export { type AttemptId, attemptId, type CheckpointId, checkpointId, type SubtaskIndex, subtaskIndex } from './brand.ts'
export { Configuration } from './configuration.ts'
export type {
  Collector,
  FilterFunction,
  FlatMapFunction,
  FunctionContext,
  MapFunction,
  ReduceFunction,
  RichFunction,
  Sync,
} from './functions.ts'
export type { GraphEdge, GraphNode, JobGraph, OperatorNode, Partitioning, SinkNode, SourceNode } from './graph.ts'
export type { AsciiText } from './json-shape.ts'
export { Counter, type Gauge, type MetricGroup, MetricRegistry } from './metric.ts'
export {
  type CloseOptions,
  NO_OUTPUT,
  type Operator,
  type OperatorContext,
  type OperatorFactory,
  type OperatorSnapshot,
  type Output,
  type RuntimeContext,
  type RuntimePorts,
} from './operator.ts'
export { type ConfigOption, parseDuration } from './option-types.ts'
export { type CheckpointingMode, OPTIONS, type RestartStrategyType } from './options.ts'
export { OutputTag } from './output-tag.ts'
export type {
  KeyedProcessContext,
  KeyedProcessFunction,
  KeyedProcessFunctionContext,
  OnTimerContext,
  ProcessContext,
  ProcessFunction,
  ProcessFunctionContext,
  ProcessResult,
} from './process-function.ts'
export {
  type DeserializationSchema,
  JsonSchema,
  parseJson,
  type SerializationSchema,
  SimpleStringSchema,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
} from './schema.ts'
export {
  deserializeVersioned,
  type RecordSerializer,
  serializeVersioned,
  type VersionedBytes,
  type VersionedSerializer,
} from './serializer.ts'
export type {
  AttemptIds,
  CommittableDescription,
  NoCommittable,
  Sink,
  SinkAttempt,
  SinkAttemptSettings,
  SinkWriter,
  SinkWriterContext,
  TransactionalSide,
  TransactionLedger,
  TransactionPlan,
  TransactionState,
} from './sink.ts'
export type {
  Boundedness,
  PollStatus,
  ReaderOutput,
  Source,
  SourceReader,
  SourceReaderContext,
  SplitEnumerator,
  SplitEnumeratorContext,
  SplitOutput,
} from './source.ts'
export type {
  Key,
  KeyedContext,
  KeyPart,
  KeySelector,
  ListState,
  MapState,
  StateDescriptor,
  TimeDomain,
  TimerService,
  ValueState,
} from './state.ts'
export { ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor } from './state-descriptor.ts'
export {
  ElementTime,
  MAX_WATERMARK,
  NO_TIMESTAMP,
  type TimestampAssigner,
  type WatermarkGenerator,
  type WatermarkOutput,
  type WatermarkPlan,
} from './time.ts'
