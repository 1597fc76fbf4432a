// Made by `node scripts/build.ts --api` from the declarations of this entry point; not to be edited.

export interface ActiveProducer {
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly lastSequence: number;
    readonly lastTimestamp: number;
    readonly transactionStartOffset: number | null;
}

export interface BrokerSettings {
    readonly autoCreateTopics: boolean;
    readonly numPartitions: number;
    readonly defaultReplicationFactor: number;
    readonly transactionMaxTimeoutMs: number;
    readonly markerDelayMs: number;
    readonly groupInitialRebalanceDelayMs: number;
    readonly requestBytesMax: number;
    readonly connectionsMax: number;
    readonly partitionsMax: number;
    readonly coordinatedMax: number;
}

export declare class EmbeddedBroker {
    readonly network: Network;
    readonly bootstrapServers: string;
    readonly faults: FaultPlan;
    constructor(options: EmbeddedBrokerOptions);
    get nodes(): readonly number[];
    get clusterId(): string;
    get memoryBytes(): number;
    get connections(): number;
    createTopic(name: string, options?: EmbeddedTopicOptions): void;
    listen(options?: ListenOptions): Promise<BrokerListener>;
    stopNode(node: number): void;
    startNode(node: number): void;
    moveLeader(topic: string, partition: number, node?: number): void;
    leaderOf(topic: string, partition: number): number;
    dropConnections(node?: number): void;
    transactions(): EmbeddedTransaction[];
    transactionOf(transactionalId: string): EmbeddedTransaction | undefined;
    partitionsOf(topic: string): number;
    offsetsOf(topic: string, partition: number): {
        readonly begin: number;
        readonly stable: number;
        readonly end: number;
    };
    batchesOf(topic: string, partition: number): Buffer[];
    expireTransaction(transactionalId: string): boolean;
    setTransactionVersion(level: TransactionVersionLevel): void;
    applyRetention(): void;
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export declare class EmbeddedKafka implements AsyncDisposable {
    readonly bootstrapServers: string;
    readonly network: Network;
    readonly broker: EmbeddedBroker;
    static start(options?: EmbeddedKafkaOptions): Promise<EmbeddedKafka>;
    createTopic(name: string, options?: EmbeddedTopicOptions): void;
    produce(topic: string, records: Iterable<RecordToProduce | string>, options?: EmbeddedProduceOptions): Promise<void>;
    produceJson<T>(topic: string, values: Iterable<T>, options?: EmbeddedProduceOptions & {
        readonly key?: (value: T) => string;
    }): Promise<void>;
    readAll(topic: string, options?: EmbeddedReadOptions): Promise<KafkaRecord[]>;
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export interface EmbeddedKafkaOptions {
    readonly topics?: Readonly<Record<string, EmbeddedTopicOptions>>;
    readonly tcp?: boolean;
    readonly nodes?: number;
    readonly memoryBytesMax?: number;
    readonly settings?: Partial<BrokerSettings>;
    readonly clock?: Clock;
    readonly transactionVersion?: 1 | 2;
}

export interface EmbeddedProduceOptions {
    readonly transactionalId?: string;
    readonly end?: 'commit' | 'abort' | 'open';
}

export interface EmbeddedReadOptions {
    readonly isolation?: 'read_committed' | 'read_uncommitted';
}

export interface EmbeddedTopicOptions {
    readonly partitions?: number;
    readonly replicationFactor?: number;
    readonly config?: Readonly<Record<string, string | number | boolean>>;
}

export declare class FaultPlan {
    fail(fault: ErrorFault): void;
    drop(fault: DropFault): void;
    delay(fault: DelayFault): void;
    throttle(fault: ThrottleFault): void;
    clear(): void;
    get pending(): number;
    errorFor(scene: FaultScene, topic?: string, partition?: number): number;
    drops(scene: FaultScene, when: 'before' | 'after'): boolean;
    delayMs(scene: FaultScene): number;
    throttleMs(scene: FaultScene): number;
}

export interface GeneratedRecords {
    readonly count: number;
    readonly from?: number;
    readonly value: string;
    readonly valueBytes?: number;
    readonly key?: string;
    readonly partitions?: number;
    readonly partition?: number;
    readonly timestampFrom?: number;
    readonly timestampStep?: number;
}

export type HarnessEvent<Out> = {
    readonly kind: 'element';
    readonly value: Out;
    readonly timestamp: number | undefined;
} | {
    readonly kind: 'watermark';
    readonly timestamp: number;
} | {
    readonly kind: 'idle';
    readonly idle: boolean;
};

export interface HarnessOptions {
    readonly clock?: SimulatedClock;
    readonly restored?: HarnessSnapshot;
    readonly configuration?: Readonly<Record<string, string | number | boolean>>;
}

export interface HarnessSnapshot {
    readonly steps: readonly HarnessState[];
}

export interface HarnessState {
    readonly own: VersionedBytes | undefined;
    readonly lists: readonly VersionedBytes[];
    readonly keyed: readonly (VersionedBytes & {
        readonly groups: readonly [first: number, last: number];
    })[];
}

export type JointName = (typeof JOINTS)[number];

export declare const KAFKA_VERSIONS: {
    readonly newest: string;
    readonly older: string;
    readonly oldest: string;
};

export interface KafkaHeader {
    readonly key: string;
    readonly value: Buffer | null;
}

export declare class KafkaJavaTools {
    constructor(input: KafkaJavaToolsInput);
    get pid(): number | undefined;
    readAll(topic: string, options?: ReadOptions): Promise<KafkaRecord[]>;
    produce(topic: string, records: Iterable<RecordToProduce>, options?: ProduceOptions): Promise<ProduceResult>;
    produceJson<T>(topic: string, values: Iterable<T>, options?: ProduceOptions & {
        readonly key?: (value: T) => string;
        readonly partition?: (value: T) => number;
    }): Promise<ProduceResult>;
    produceGenerated(topic: string, generate: GeneratedRecords, options?: ProduceOptions): Promise<ProduceResult>;
    endTransaction(transactionalId: string, end: 'commit' | 'abort' | 'abandon'): Promise<void>;
    offsets(topic: string, at?: 'earliest' | 'latest' | 'last-stable' | number): Promise<number[]>;
    groupOffsets(group: string): Promise<(TopicPartitionOffset & {
        readonly metadata: string;
    })[]>;
    setGroupOffsets(group: string, offsets: readonly TopicPartitionOffset[]): Promise<void>;
    transactions(): Promise<TransactionListing[]>;
    describeTransaction(transactionalId: string): Promise<TransactionDescription>;
    producers(topic: string, partition: number): Promise<ActiveProducer[]>;
    fence(transactionalId: string): Promise<void>;
    features(): Promise<Readonly<Record<string, number>>>;
    listTopics(): Promise<string[]>;
    describeTopic(topic: string): Promise<TopicDescription>;
    setTopicConfig(topic: string, config: Readonly<Record<string, string | number | boolean>>): Promise<void>;
    createPartitions(topic: string, partitions: number): Promise<void>;
    deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;
    request(op: string, args: Readonly<Record<string, unknown>>, timeoutMs?: number): Promise<unknown>;
    close(): Promise<void>;
}

export interface KafkaRecord {
    readonly partition: number;
    readonly offset: number;
    readonly timestamp: number;
    readonly timestampType: 'CreateTime' | 'LogAppendTime' | 'NoTimestampType';
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: readonly KafkaHeader[];
}

export declare class KafkaServer implements AsyncDisposable {
    readonly version: string;
    readonly nodes: readonly KafkaServerNode[];
    readonly java: KafkaJavaTools;
    readonly directory: string;
    static start(options?: KafkaServerOptions): Promise<KafkaServer>;
    get bootstrapServers(): string;
    bootstrapServersOf(listener: string): string;
    createTopic(topic: string, options?: TopicOptions): Promise<void>;
    deleteTopic(topic: string): Promise<void>;
    setFeature(feature: string, level: number): Promise<void>;
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export declare class KafkaServerError extends MillraceError {
    readonly name: string;
    readonly javaClass: string | undefined;
    constructor(code: ErrorCode, message: string, options?: KafkaServerErrorOptions);
}

export declare class KafkaServerNode {
    readonly id: number;
    readonly host: string;
    readonly port: number;
    readonly logFile: string;
    readonly dataDirectory: string;
    constructor(input: KafkaServerNodeInput);
    get pid(): number | undefined;
    get state(): 'stopped' | 'running' | 'paused';
    get bootstrapServer(): string;
    launch(): void;
    ready(ids: readonly number[], timeoutMs?: number): Promise<void>;
    waitForMetadata(topics: readonly string[], satisfies: (answer: MetadataAnswer) => boolean, what: string, timeoutMs?: number): Promise<void>;
    features(): Promise<ReadonlyMap<string, number>>;
    waitForFeature(feature: string, level: number, timeoutMs?: number): Promise<void>;
    start(timeoutMs?: number): Promise<void>;
    stop(): Promise<void>;
    kill(): Promise<void>;
    pause(): void;
    resume(): void;
    restart(): Promise<void>;
    log(): string;
}

export interface KafkaServerOptions {
    readonly version?: string;
    readonly nodes?: number;
    readonly transactionVersion?: 0 | 1 | 2;
    readonly properties?: Readonly<Record<string, PropertyValue>>;
    readonly listeners?: Readonly<Record<string, SecurityProtocol>>;
    readonly heapMb?: number;
    readonly jvm?: 'quick' | 'throughput';
}

export declare class MemoryStorage implements Storage {
    readonly location: string;
    read(path: string): Promise<Buffer | undefined>;
    list(folder: string): Promise<string[]>;
    write(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void>;
    create(path: string): NewObject;
    stage(_folder: string): NewObject;
    putIfAbsent(path: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
    remove(path: string): Promise<void>;
    lock(name: string): Promise<StorageLock | undefined>;
}

export declare class MiniCluster implements AsyncDisposable {
    constructor(options?: MiniClusterOptions);
    start(job: JobDefinition, options?: MiniClusterStartOptions): Promise<MiniClusterJob>;
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export declare class MiniClusterJob {
    readonly client: JobClient;
    constructor(client: JobClient, world: CrashingWorld);
    get ended(): boolean;
    status(): JobStatus;
    figures(): JobFigures;
    result(): Promise<JobExecutionResult>;
    checkpoint(): Promise<void>;
    failAt(name: JointName, nth?: number): Promise<void>;
    stop(): Promise<void>;
    cancel(): Promise<void>;
}

export interface MiniClusterOptions {
    readonly network?: Network;
    readonly clock?: Clock;
    readonly random?: Random;
    readonly checkpointIntervalMs?: number;
}

export interface MiniClusterStartOptions {
    readonly args?: JobArguments;
    readonly parallelism?: number;
    readonly configuration?: Readonly<Record<string, string | number | boolean>>;
}

export declare class OneInputOperatorHarness<In, Out> implements AsyncDisposable {
    readonly clock: SimulatedClock;
    readonly events: HarnessEvent<Out>[];
    static open<In, Out>(steps: (input: DataStream<In>) => DataStream<Out>, options?: HarnessOptions): Promise<OneInputOperatorHarness<In, Out>>;
    static openOperator<In, Out>(factory: OperatorFactory<In, Out>, options?: HarnessOptions & {
        readonly keyOf?: (value: In) => Key;
    }): Promise<OneInputOperatorHarness<In, Out>>;
    push(value: In, timestamp?: number): void;
    pushWatermark(timestamp: number): void;
    pushIdle(idle: boolean): void;
    advance(ms: number): void;
    get output(): Out[];
    sideOutput<T>(tag: OutputTag<T>): T[];
    get accumulators(): Readonly<Record<string, unknown>>;
    get watermarks(): number[];
    snapshot(): Promise<HarnessSnapshot>;
    finish(): Promise<void>;
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export interface Operator<In> extends Output<In> {
    open?(): void | Promise<void>;
    inputDry?(): void;
    finish?(): void | Promise<void>;
    snapshot?(checkpoint: CheckpointId, final: boolean): OperatorSnapshot;
    checkpointCompleted?(checkpoint: CheckpointId): Promise<void>;
    checkpointCommitted?(checkpoint: CheckpointId): void;
    close?(options: CloseOptions): Promise<void>;
    readonly blocked?: boolean;
    writable?(): Promise<void>;
}

export interface OperatorContext extends RuntimeContext, RuntimePorts {
    readonly time: ElementTime;
    readonly restored: readonly VersionedBytes[];
    readonly accumulators: AccumulatorRegistry;
    readonly keyed?: KeyedContext;
    operatorList<T>(descriptor: StateDescriptor): ListState<T>;
    sideOutput(tag: string): Output<unknown>;
}

export interface OperatorFactory<In, Out> {
    create(context: OperatorContext, output: Output<Out>): Operator<In>;
}

export interface Output<T> {
    emit(value: T): void;
    emitWatermark(timestamp: number): void;
    emitIdle(idle: boolean): void;
}

export interface ProduceOptions {
    readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
    readonly transactionalId?: string;
    readonly end?: 'commit' | 'abort' | 'open' | 'abandon';
    readonly timeoutMs?: number;
    readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

export interface ProduceResult {
    readonly count: number;
    readonly partitions: readonly {
        readonly partition: number;
        readonly count: number;
        readonly first: number;
        readonly last: number;
    }[];
}

export interface ReadOptions {
    readonly isolation?: 'read_committed' | 'read_uncommitted';
    readonly timeoutMs?: number;
    readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

export interface RecordToProduce {
    readonly key?: string | Uint8Array | null;
    readonly value: string | Uint8Array | null;
    readonly partition?: number;
    readonly timestamp?: number;
    readonly headers?: readonly {
        readonly key: string;
        readonly value: string | Uint8Array | null;
    }[];
}

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';

export declare class SeededRandom implements Random {
    constructor(seed: number);
    next(): number;
    hex(count: number): string;
}

export interface SimulateOptions {
    readonly seeds?: number | readonly number[];
    readonly faults?: readonly SimulatedFault[];
    readonly topics: Readonly<Record<string, SimulatedTopic>>;
    readonly outputs?: readonly string[];
    readonly args?: Readonly<Record<string, string | number | boolean>>;
    readonly configuration?: Readonly<Record<string, string | number | boolean>>;
    readonly parallelismMax?: number;
    readonly onSeed?: (run: SimulatedRun) => void;
}

export declare class SimulatedClock implements Clock {
    constructor(nowMs?: number);
    now(): number;
    monotonic(): number;
    setTimer(delayMs: number, callback: () => void): Timer;
    sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
    nextTurn(): Promise<void>;
    get pendingTimers(): number;
    advance(ms: number): void;
    pass(ms: number): Promise<void>;
    until<T>(work: Promise<T>, limitMs?: number): Promise<T>;
}

export type SimulatedFault = Exclude<FaultKind, (typeof NOT_FOR_ANY_JOB)[number]>;

export interface SimulatedRun {
    readonly seed: number;
    readonly plan: string;
    readonly lives: readonly string[];
    readonly checkpoints: number;
    readonly hash: string;
}

export interface SimulatedTopic extends EmbeddedTopicOptions {
    readonly records?: readonly (RecordToProduce | string)[];
}

export declare class SimulationFailure extends Error {
    readonly name: string;
    readonly seed: number;
    readonly plan: string;
    constructor(seed: number, plan: string, what: string, cause?: unknown);
}

export interface SimulationReport {
    readonly seeds: number;
    readonly checkpoints: number;
    readonly crashes: number;
    readonly faults: Readonly<Record<string, number>>;
}

export interface TopicContainsOptions {
    readonly order?: 'exactly' | 'any';
    readonly isolation?: 'read_committed' | 'read_uncommitted';
    readonly timeoutMs?: number;
}

export interface TopicDescription {
    readonly topic: string;
    readonly topicId: string;
    readonly partitions: readonly {
        readonly partition: number;
        readonly leader: number | null;
        readonly replicas: readonly number[];
        readonly isr: readonly number[];
    }[];
    readonly config: Readonly<Record<string, string>>;
}

export interface TopicOptions {
    readonly partitions?: number;
    readonly replicationFactor?: number;
    readonly config?: Readonly<Record<string, PropertyValue>>;
}

export interface TopicPartitionOffset {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
}

export interface TopicReading {
    readAll(topic: string, options?: {
        readonly isolation?: 'read_committed' | 'read_uncommitted';
    }): Promise<readonly KafkaRecord[]>;
}

export interface TransactionDescription {
    readonly state: string;
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly timeoutMs: number;
    readonly partitions: readonly {
        readonly topic: string;
        readonly partition: number;
    }[];
}

export interface TransactionListing {
    readonly transactionalId: string;
    readonly producerId: number;
    readonly state: string;
}

export interface VersionedBytes {
    readonly version: number;
    readonly bytes: Uint8Array;
}

export declare function assertTopicContains(kafka: TopicReading, topic: string, expected: readonly unknown[], options?: TopicContainsOptions): Promise<void>;

export declare function cacheDirectory(environment?: Readonly<Record<string, string | undefined>>): string;

export declare const silentLogger: Logger;

export declare function simulate(job: JobDefinition, options: SimulateOptions): Promise<SimulationReport>;
