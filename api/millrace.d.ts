// Made by `node scripts/build.ts --api` from the declarations of this entry point; not to be edited.

export interface Accumulator<T> {
    add(value: T): void;
    readonly value: AccumulatorValue;
}

export type AccumulatorValue = {
    readonly kind: 'sum';
    readonly sum: number;
} | {
    readonly kind: 'minimum' | 'maximum';
    readonly extreme: number;
} | {
    readonly kind: 'average';
    readonly sum: number;
    readonly count: number;
} | {
    readonly kind: 'list';
    readonly elements: readonly unknown[];
} | {
    readonly kind: 'histogram';
    readonly counts: readonly (readonly [value: number, count: number])[];
};

export declare class AssertionFailed extends Error {
    readonly name: string;
}

export declare class AverageAccumulator implements Accumulator<number> {
    add(value: number): void;
    get value(): AccumulatorValue;
}

export interface Clock {
    now(): number;
    monotonic(): number;
    setTimer(delayMs: number, callback: () => void, options?: {
        readonly background?: boolean;
    }): Timer;
    sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
    nextTurn(): Promise<void>;
}

export interface Collector<T> {
    collect(value: T): void;
}

export declare class Configuration {
    constructor(values?: Readonly<Record<string, string | number | boolean>>);
    set(key: string, value: string | number | boolean, where?: string): this;
    get<Name extends OptionName>(name: Name): ConfigurationValues[Name];
    has(name: OptionName): boolean;
    entries(): IterableIterator<[string, string]>;
    with(other: Configuration): Configuration;
}

export type ConfigurationInput = Configuration | Readonly<Record<string, string | number | boolean>>;

export declare class Counting implements Accumulator<number> {
    add(value: number): void;
    get value(): AccumulatorValue;
}

export declare class DataStream<out T> extends StreamStep {
    protected readonly element: T;
    constructor(host: StreamHost, origin: StreamOrigin);
    returns(serializer: RecordSerializer<T>): this;
    map<Out>(fn: ((value: T) => Sync<Out>) | MapFunction<T, Out>): DataStream<Out>;
    filter<S extends T>(fn: (value: T) => value is S): DataStream<S>;
    filter(fn: FilterCallback<T>): DataStream<T>;
    flatMap<Out>(fn: ((value: T, out: Collector<Out>) => FlatMapResult<Out>) | FlatMapFunction<T, Out>): DataStream<Out>;
    process<Out>(fn: ProcessCallback<T, Out>): DataStream<Out>;
    getSideOutput<X>(tag: OutputTag<X>): DataStream<X>;
    keyBy<const K extends Key>(keyOf: (value: T) => K): KeyedStream<T, K>;
    union(...others: readonly DataStream<T>[]): DataStream<T>;
    rebalance(): DataStream<T>;
    rescale(): DataStream<T>;
    shuffle(): DataStream<T>;
    broadcast(): DataStream<T>;
    partitionCustom<K>(partitioner: (key: K, partitions: number) => number, keyOf: (value: T) => K): DataStream<T>;
    assignTimestampsAndWatermarks(plan: WatermarkPlan<T>): DataStream<T>;
    sinkTo<Committable>(sink: Sink<T, Committable>): DataStreamSink;
    print(prefix?: string): DataStreamSink;
    executeAndCollect(jobName?: string): AsyncIterableIterator<T>;
    protected addOperator<Out>(type: string, name: string, factory: (configuration: Configuration) => OperatorFactory<T, Out>, keyOf: KeySelector | undefined): DataStream<Out>;
    protected ownFunction(fn: unknown): void;
}

export declare class DataStreamSink extends StreamStep {
}

export interface DeserializationSchema<T> {
    open?(context: RuntimeContext): void | Promise<void>;
    deserialize(bytes: Buffer | null): T | undefined;
    deserializeText?(text: string): T | undefined;
    deserializeAscii?(ascii: AsciiText, from: number, to: number): T | undefined;
    readonly textIsTransient?: boolean;
    readonly skipsNull?: boolean;
}

export declare class DoubleCounter extends Counting {
}

export declare const ERROR_CODES: readonly ['OPTION_INVALID', 'GRAPH_INVALID', 'JOB_FILE_INVALID', 'USAGE', 'NOT_SUPPORTED', 'DESERIALIZATION_FAILED', 'SERIALIZATION_FAILED', 'RECORD_NOT_SERIALIZABLE', 'USER_FUNCTION_FAILED', 'USER_FUNCTION_ASYNC', 'KAFKA_UNREACHABLE', 'KAFKA_TIMEOUT', 'KAFKA_DISCONNECTED', 'KAFKA_PROTOCOL', 'KAFKA_VERSION_UNSUPPORTED', 'KAFKA_UNKNOWN_TOPIC', 'KAFKA_UNKNOWN_PARTITION', 'KAFKA_OFFSET_OUT_OF_RANGE', 'KAFKA_LOG_TRUNCATED', 'KAFKA_NO_OFFSET', 'KAFKA_CORRUPT_BATCH', 'KAFKA_MESSAGE_FORMAT_UNSUPPORTED', 'KAFKA_RECORD_TOO_LARGE', 'KAFKA_AUTHORIZATION_FAILED', 'KAFKA_AUTHENTICATION_FAILED', 'KAFKA_FENCED', 'KAFKA_TRANSACTION_ABORTED', 'KAFKA_PRODUCE_FAILED', 'KAFKA_RETRIABLE', 'KAFKA_FATAL', 'CHECKPOINT_FAILED', 'CHECKPOINT_DAMAGED', 'LOG_DAMAGED', 'STORAGE_FAILED', 'STATE_INCOMPATIBLE', 'STATE_NOT_RESTORED', 'SUPERSEDED', 'ALREADY_RUNNING', 'JOB_NOT_RUNNING', 'TRANSACTIONS_LOST', 'TRANSACTIONS_UNDECIDED', 'COMMIT_UNRESOLVED', 'FOREIGN_TRANSACTIONS', 'TASKS_LINGER', 'WORKER_DIED', 'CANCELLED'];

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ExecuteOptions {
    readonly signal?: AbortSignal;
    readonly storage?: Storage;
    readonly start?: Partial<StartOptions>;
    readonly openStorage?: (path: string) => Storage;
    readonly onEvent?: (event: JobEvent) => void;
}

export interface FilterFunction<T> extends RichFunction {
    filter(value: T): boolean;
}

export interface FlatMapFunction<In, Out> extends RichFunction {
    flatMap(value: In, out: Collector<Out>): void;
}

export interface FunctionContext extends RuntimeContext {
    addAccumulator<T>(name: string, accumulator: Accumulator<T>): void;
    getAccumulator(name: string): Accumulator<never> | undefined;
}

export interface GeneratorOptions {
    readonly count?: number;
    readonly elementsPerSecond?: number;
    readonly name?: string;
}

export declare class Histogram implements Accumulator<number> {
    add(value: number): void;
    get value(): AccumulatorValue;
}

export declare class IntCounter extends Counting {
}

export type JobArguments = readonly string[] | Readonly<Record<string, string | number | boolean>>;

export type JobBuild = (env: StreamExecutionEnvironment, params: JobParameters) => void | Promise<void>;

export declare class JobClient implements AsyncDisposable {
    readonly jobName: string;
    readonly directory: string | undefined;
    constructor(execution: JobExecution, signal: AbortSignal | undefined, directory: string | undefined);
    status(): JobStatus;
    figures(): JobFigures;
    failures(): readonly JobFailure[];
    metrics(): Map<string, number>;
    result(): Promise<JobExecutionResult>;
    triggerCheckpoint(): Promise<void>;
    cancel(): Promise<void>;
    stop(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export interface JobDefinition {
    readonly name: string;
    readonly build: JobBuild;
}

export interface JobEvent {
    readonly status: JobStatus;
    readonly attempt: number;
    readonly error?: Error;
}

export interface JobExecutionResult {
    readonly jobName: string;
    readonly outcome: 'finished' | 'already-finished' | 'stopped';
    readonly durationMs: number;
    readonly recordsIn: number;
    readonly recordsOut: number;
    readonly accumulators: Readonly<Record<string, unknown>>;
}

export interface JobFigures extends TaskFigures {
    readonly checkpoints: CheckpointFigures;
    readonly restarts: number;
}

export declare class JobParameters {
    static of(args?: JobArguments): JobParameters;
    get(name: string): string | undefined;
    get(name: string, fallback: string): string;
    get(name: string, fallback: number): number;
    get(name: string, fallback: boolean): boolean;
    required(name: string): string;
    has(name: string): boolean;
    toRecord(): Readonly<Record<string, string>>;
}

export type JobStatus = 'created' | 'recovering' | 'running' | 'restarting' | 'stopping' | 'finished' | 'stopped' | 'cancelled' | 'failed';

export declare class JsonSchema<T = unknown> implements DeserializationSchema<T>, SerializationSchema<T> {
    readonly skipsNull = true;
    readonly textIsTransient = true;
    constructor(schema?: StandardSchema<T>);
    deserialize(bytes: Buffer | null): T | undefined;
    deserializeText(text: string): T;
    deserializeAscii(ascii: AsciiText, from: number, to: number): T;
    serialize(element: T): string;
}

export type Key = KeyPart | readonly KeyPart[];

export type KeyPart = string | number | bigint | boolean;

export interface KeyedProcessContext<K extends Key> extends ProcessContext {
    getCurrentKey(): K;
    timerService(): TimerService;
}

export interface KeyedProcessFunction<K extends Key, In, Out> extends RichFunction {
    open?(context: KeyedProcessFunctionContext): void | Promise<void>;
    processElement(value: In, context: KeyedProcessContext<K>, out: Collector<Out>): ProcessResult;
    onTimer?(timestamp: number, context: OnTimerContext<K>, out: Collector<Out>): ProcessResult;
}

export interface KeyedProcessFunctionContext extends ProcessFunctionContext {
    getState<T>(descriptor: ValueStateDescriptor<T>): ValueState<T>;
    getListState<T>(descriptor: ListStateDescriptor<T>): ListState<T>;
    getMapState<MapKey extends KeyPart, V>(descriptor: MapStateDescriptor<MapKey, V>): MapState<MapKey, V>;
}

export declare class KeyedStream<out T, out K extends Key> extends DataStream<T> {
    protected readonly key: K;
    constructor(host: StreamHost, origin: StreamOrigin, keyOf: KeySelector);
    process<Out>(fn: KeyedProcessFunction<K, T, Out>): DataStream<Out>;
    reduce(fn: ReduceCallback<T>): DataStream<T>;
    sum<Field extends keyof T>(field: NumericField<T, Field>): DataStream<T>;
    min(field: keyof T): DataStream<T>;
    max(field: keyof T): DataStream<T>;
}

export declare class ListAccumulator<T> implements Accumulator<T> {
    add(value: T): void;
    get value(): AccumulatorValue;
}

export interface ListState<T> {
    get(): readonly T[];
    add(value: T): void;
    addAll(values: Iterable<T>): void;
    update(values: readonly T[]): void;
    clear(): void;
}

export declare class ListStateDescriptor<T> implements StateDescriptor {
    readonly kind = "list";
    readonly name: string;
    protected readonly element: T;
    constructor(name: string);
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
    debug(fields: LogFields, message: string): void;
    info(fields: LogFields, message: string): void;
    warn(fields: LogFields, message: string): void;
    error(fields: LogFields, message: string): void;
}

export declare class LongCounter extends Counting {
}

export interface MapFunction<In, Out> extends RichFunction {
    map(value: In): Sync<Out>;
}

export interface MapState<K extends KeyPart, V> {
    get(key: K): V | undefined;
    put(key: K, value: V): void;
    has(key: K): boolean;
    delete(key: K): void;
    entries(): Iterable<readonly [K, V]>;
    keys(): Iterable<K>;
    values(): Iterable<V>;
    readonly size: number;
    clear(): void;
}

export declare class MapStateDescriptor<K extends KeyPart, V> implements StateDescriptor {
    readonly kind = "map";
    readonly name: string;
    protected readonly entry: readonly [K, V];
    constructor(name: string);
}

export declare class Maximum implements Accumulator<number> {
    add(value: number): void;
    get value(): AccumulatorValue;
}

export declare class MillraceError extends Error {
    readonly name: string;
    readonly code: ErrorCode;
    readonly retriable: boolean;
    readonly next: string;
    constructor(code: ErrorCode, message: string, options?: MillraceErrorOptions);
    static is(value: unknown): value is MillraceError;
}

export declare class Minimum implements Accumulator<number> {
    add(value: number): void;
    get value(): AccumulatorValue;
}

export declare const NO_TIMESTAMP: number;

export interface Network {
    lookup?(host: string): Promise<readonly string[]>;
    connect(options: ConnectOptions, receiver: NetworkReceiver): Promise<NetworkConnection>;
}

export interface NewObject {
    write(content: Uint8Array | readonly Uint8Array[]): Promise<void>;
    discard(): Promise<void>;
    abandon(): void;
}

export type NumericField<T, Field extends keyof T> = T[Field] extends number ? Field : T[Field] extends bigint ? Field : never;

export interface OnTimerContext<K extends Key> extends KeyedProcessContext<K> {
    timeDomain(): TimeDomain;
}

export declare class OutputTag<T> {
    readonly id: string;
    protected readonly element: T;
    constructor(id: string);
}

export interface ProcessContext {
    timestamp(): number | undefined;
    output<X>(tag: OutputTag<X>, value: X): void;
}

export interface ProcessFunction<In, Out> extends RichFunction {
    open?(context: ProcessFunctionContext): void | Promise<void>;
    processElement(value: In, context: ProcessContext, out: Collector<Out>): ProcessResult;
}

export interface ProcessFunctionContext extends FunctionContext {
    getOperatorListState<T>(descriptor: ListStateDescriptor<T>): ListState<T>;
}

export type ProcessResult = void | undefined;

export interface Random {
    next(): number;
    hex(count: number): string;
}

export interface RecordSerializer<T = unknown> {
    serialize(value: T): Uint8Array;
    deserialize(bytes: Uint8Array): T;
}

export interface ReduceFunction<T> extends RichFunction {
    reduce(left: T, right: T): Sync<T>;
}

export interface RichFunction {
    open?(context: FunctionContext): void | Promise<void>;
    close?(): void | Promise<void>;
}

export interface RunJobOptions extends Omit<ExecuteOptions, 'storage'> {
    readonly parallelism?: number;
    readonly threads?: number;
    readonly module?: string | URL;
    readonly execArgv?: readonly string[];
    readonly args?: JobArguments;
    readonly configuration?: ConfigurationInput;
    readonly storage?: Storage | 'memory';
    readonly ports?: Partial<RuntimePorts>;
}

export interface RuntimeContext {
    readonly jobName: string;
    readonly operatorName: string;
    readonly uid: string;
    readonly subtask: SubtaskIndex;
    readonly parallelism: number;
    readonly maxParallelism: number;
    readonly metrics: MetricGroup;
}

export declare const RuntimeExecutionMode: {
    readonly STREAMING: 'STREAMING';
    readonly BATCH: 'BATCH';
    readonly AUTOMATIC: 'AUTOMATIC';
};
export type RuntimeExecutionMode = (typeof RuntimeExecutionMode)[keyof typeof RuntimeExecutionMode];

export interface RuntimePorts {
    readonly clock: Clock;
    readonly random: Random;
    readonly network: Network;
    readonly logger: Logger;
}

export declare class Secret {
    constructor(value: string);
    reveal(): string;
    toString(): string;
    toJSON(): string;
}

export interface SerializationSchema<T> {
    open?(context: RuntimeContext): void | Promise<void>;
    serialize(element: T): Uint8Array | string | null;
}

export declare class SimpleStringSchema implements DeserializationSchema<string>, SerializationSchema<string> {
    readonly skipsNull = true;
    deserialize(bytes: Buffer | null): string | undefined;
    deserializeText(text: string): string;
    serialize(element: string): string;
}

export interface Sink<T, Committable = NoCommittable> {
    createWriter(context: SinkWriterContext): SinkWriter<T, Committable>;
    readonly transactional?: TransactionalSide<Committable>;
    describe(): Readonly<Record<string, unknown>>;
}

export interface SinkWriter<T, Committable> {
    open?(): Promise<void>;
    write(element: T): void;
    readonly blocked: boolean;
    writable(): Promise<void>;
    inputDry?(): void;
    prepareCommit(checkpoint: CheckpointId, final: boolean): Promise<readonly Committable[]>;
    commit?(checkpoint: CheckpointId): Promise<void>;
    committed?(checkpoint: CheckpointId): void;
    close(options?: CloseOptions): Promise<void>;
}

export interface SinkWriterContext extends RuntimeContext, RuntimePorts {
    readonly attempt: AttemptId;
    readonly time: ElementTime;
    readonly nextCheckpoint: CheckpointId;
    readonly settings: SinkAttemptSettings | undefined;
    fail(error: Error): void;
}

export interface Source<T, Split, EnumeratorState> {
    readonly boundedness: Boundedness;
    readonly splitSerializer: VersionedSerializer<Split>;
    readonly enumeratorStateSerializer: VersionedSerializer<EnumeratorState>;
    splitId(split: Split): string;
    createEnumerator(context: SplitEnumeratorContext<Split>, restored?: {
        readonly state: EnumeratorState;
        readonly splits: readonly Split[];
    }): SplitEnumerator<EnumeratorState>;
    beginningOf?(state: EnumeratorState): EnumeratorState;
    createReader(context: SourceReaderContext<T>): SourceReader<Split>;
    publishPositions?(splits: readonly Split[], ports: RuntimePorts): Promise<void>;
    describe(): Readonly<Record<string, unknown>>;
}

export interface SourceReader<Split> {
    open?(): Promise<void>;
    addSplits(splits: readonly Split[]): void;
    noMoreSplits(): void;
    poll(budget: number): PollStatus;
    available(): Promise<void>;
    snapshotState(checkpoint: CheckpointId): readonly Split[];
    checkpointCompleted?(checkpoint: CheckpointId): Promise<void>;
    pendingRecords?(): number | undefined;
    close(): Promise<void>;
}

export interface SourceReaderContext<T> extends RuntimeContext, RuntimePorts {
    readonly attempt: AttemptId;
    readonly time: ElementTime;
    readonly output: ReaderOutput<T>;
    readonly checkpointing: boolean;
}

export interface SplitEnumerator<EnumeratorState> {
    start(signal: AbortSignal): Promise<void>;
    snapshotState(checkpoint: CheckpointId): EnumeratorState;
    close(): Promise<void>;
}

export interface SplitEnumeratorContext<Split> extends RuntimePorts {
    readonly parallelism: number;
    readonly uid: string;
    assignSplits(subtask: SubtaskIndex, splits: readonly Split[]): void;
    signalNoMoreSplits(): void;
    fail(error: Error): void;
}

export interface StandardSchema<T> {
    readonly '~standard': {
        readonly version: 1;
        readonly vendor: string;
        readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    };
}

export interface StartOptions {
    readonly mode: 'resume' | 'fresh' | 'savepoint' | 'rewind';
    readonly savepoint?: string;
    readonly allowNonRestoredState: boolean;
}

export interface Storage {
    readonly location: string;
    read(path: string): Promise<Buffer | undefined>;
    list(folder: string): Promise<string[]>;
    write(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void>;
    create(path: string): NewObject;
    stage(folder: string): NewObject;
    putIfAbsent(path: string, bytes: Uint8Array, staged?: NewObject): Promise<'created' | 'exists'>;
    remove(path: string): Promise<void>;
    lock(name: string): Promise<StorageLock | undefined>;
}

export interface StorageLock {
    release(): Promise<void>;
}

export declare class StreamExecutionEnvironment {
    constructor(options?: EnvironmentOptions);
    static createLocalEnvironment(configuration?: ConfigurationInput): StreamExecutionEnvironment;
    static getExecutionEnvironment(configuration?: ConfigurationInput): StreamExecutionEnvironment;
    get configuration(): Configuration;
    enableCheckpointing(intervalMs: number): this;
    setParallelism(parallelism: number): this;
    setMaxParallelism(maxParallelism: number): this;
    setRuntimeMode(mode: RuntimeExecutionMode): this;
    configure(settings: ConfigurationInput): this;
    fromSource<T, Split, EnumeratorState>(source: Source<T, Split, EnumeratorState>, watermarks: WatermarkStrategy<NoInfer<T>>, name: string): DataStream<T>;
    fromData<T>(elements: readonly T[]): DataStream<T>;
    fromData<T>(...elements: readonly T[]): DataStream<T>;
    fromGenerator<T>(generate: (index: number) => Sync<T>, options?: GeneratorOptions): DataStream<T>;
    once<T>(name: string, compute: () => T | Promise<T>): Promise<T>;
    execute(jobName?: string, options?: ExecuteOptions): Promise<JobExecutionResult>;
    executeAsync(jobName?: string, options?: ExecuteOptions): Promise<JobClient>;
    buildGraph(jobName?: string): JobGraph;
    start(graph: JobGraph, options: StartGraphOptions): JobClient;
}

export type Sync<T> = T extends PromiseLike<unknown> ? never : T;

export type TimeDomain = 'event' | 'processing';

export interface TimerService {
    currentProcessingTime(): number;
    currentWatermark(): number;
    registerEventTimeTimer(timestamp: number): void;
    registerProcessingTimeTimer(timestamp: number): void;
    deleteEventTimeTimer(timestamp: number): void;
    deleteProcessingTimeTimer(timestamp: number): void;
}

export type TimestampAssigner<T> = (value: T, recordTimestamp: number) => number;

export interface ValueState<T> {
    value(): T | undefined;
    update(value: T): void;
    clear(): void;
}

export declare class ValueStateDescriptor<T> implements StateDescriptor {
    readonly kind = "value";
    readonly name: string;
    protected readonly value: T;
    constructor(name: string);
}

export interface VersionedSerializer<T> {
    readonly version: number;
    serialize(value: T): Uint8Array;
    deserialize(version: number, bytes: Uint8Array): T;
}

export interface WatermarkGenerator<T> {
    onEvent(value: T, timestamp: number, output: WatermarkOutput): void;
    onPeriodicEmit(output: WatermarkOutput): void;
}

export interface WatermarkOutput {
    emitWatermark(timestamp: number): void;
    markIdle(): void;
    markActive(): void;
}

export declare class WatermarkStrategy<T> implements WatermarkPlan<T> {
    readonly createGenerator: (() => WatermarkGenerator<T>) | undefined;
    readonly timestampAssigner: TimestampAssigner<T> | undefined;
    readonly idleTimeoutMs: number | undefined;
    readonly alignment: WatermarkPlan<T>['alignment'];
    static noWatermarks<T = unknown>(): WatermarkStrategy<T>;
    static forMonotonousTimestamps<T = unknown>(): WatermarkStrategy<T>;
    static forBoundedOutOfOrderness<T = unknown>(maxOutOfOrdernessMs: number): WatermarkStrategy<T>;
    static forGenerator<T = unknown>(createGenerator: () => WatermarkGenerator<T>): WatermarkStrategy<T>;
    withTimestampAssigner<S extends T>(timestampAssigner: TimestampAssigner<S>): WatermarkStrategy<S>;
    withIdleness(idleTimeoutMs: number): WatermarkStrategy<T>;
    withWatermarkAlignment(group: string, maxDriftMs: number, updateIntervalMs?: number): WatermarkStrategy<T>;
}

export declare function defineJob(name: string, build: JobBuild): JobDefinition;

export declare function runJob(job: JobDefinition, options?: RunJobOptions): Promise<JobExecutionResult>;

export declare function startJob(job: JobDefinition, options?: RunJobOptions): Promise<JobClient>;
