// Made by `node scripts/build.ts --api` from the declarations of this entry point; not to be edited.

export declare class BooleanDeserializer extends FixedSizeDeserializer<boolean> {
    protected readonly size = 1;
    protected read(data: Buffer): boolean;
}

export declare class ByteArrayDeserializer extends KafkaDeserializer<Buffer> {
    deserialize(_topic: string, data: Buffer | null): Buffer | null;
}

export declare class ByteArraySerializer extends Serializer<Uint8Array | null> {
    serialize(_topic: string, data: Uint8Array | null): Uint8Array | null;
}

export declare class ConsumerRecord {
    readonly topic: string;
    readonly partition: number;
    readonly timestamp: number;
    readonly timestampType: TimestampType;
    readonly leaderEpoch: number;
    readonly headers: readonly RecordHeader[];
    readonly serializedKeySize: number;
    readonly serializedValueSize: number;
    constructor(view: RecordView);
    get offset(): bigint;
    get key(): Buffer | null;
    get value(): Buffer | null;
}

export type DeliveryGuarantee = 'NONE' | 'AT_LEAST_ONCE' | 'EXACTLY_ONCE';
export declare const DeliveryGuarantee: {
    readonly [Name in DeliveryGuarantee]: Name;
};

export interface DeserializationSchema<T> {
    open?(context: RuntimeContext): void | Promise<void>;
    deserialize(bytes: Buffer | null): T | undefined;
    deserializeText?(text: string): T | undefined;
    deserializeAscii?(ascii: AsciiText, from: number, to: number): T | undefined;
    readonly textIsTransient?: boolean;
    readonly skipsNull?: boolean;
}

export type DeserializerConfig = Readonly<Record<string, string | number | boolean>>;

export declare class DoubleDeserializer extends FixedSizeDeserializer<number> {
    protected readonly size = 8;
    protected read(data: Buffer): number;
}

export declare class DoubleSerializer extends Serializer<number | null> {
    serialize(_topic: string, data: number | null): Uint8Array | null;
}

export declare class FlinkFixedPartitioner<T = unknown> implements KafkaPartitioner<T> {
    copy(): FlinkFixedPartitioner<T>;
    open(parallelInstanceId: number, _parallelInstances: number): void;
    partition(_element: T, _key: Uint8Array | string | null, _value: Uint8Array | string | null, targetTopic: string, partitions: readonly number[]): number;
}

export declare class FloatDeserializer extends FixedSizeDeserializer<number> {
    protected readonly size = 4;
    protected read(data: Buffer): number;
}

export type GivenOffsets = Iterable<{
    readonly topic: string;
    readonly partition: number;
    readonly offset: number | bigint;
}> | ReadonlyMap<TopicPartition, number | bigint>;

export type HeaderProvider<T> = (element: T) => readonly ProducerRecordHeader[] | null | undefined;

export declare class IntegerDeserializer extends FixedSizeDeserializer<number> {
    protected readonly size = 4;
    protected read(data: Buffer): number;
}

export declare class IntegerSerializer extends Serializer<number | null> {
    serialize(_topic: string, data: number | null): Uint8Array | null;
}

export interface JsonKeyValue<K = unknown, V = unknown> {
    readonly key?: K;
    readonly value?: V;
    readonly metadata?: {
        readonly offset: number;
        readonly topic: string;
        readonly partition: number;
    };
}

export declare class JsonKeyValueDeserializationSchema<K = unknown, V = unknown> implements KafkaRecordDeserializationSchema<JsonKeyValue<K, V>> {
    constructor(includeMetadata?: boolean);
    deserialize(record: ConsumerRecord, out: Collector<JsonKeyValue<K, V>>): void;
    toString(): string;
}

export declare class JsonSchema<T = unknown> implements DeserializationSchema<T>, SerializationSchema<T> {
    readonly skipsNull = true;
    readonly textIsTransient = true;
    constructor(schema?: StandardSchema<T>);
    deserialize(bytes: Buffer | null): T | undefined;
    deserializeText(text: string): T;
    deserializeAscii(ascii: AsciiText, from: number, to: number): T;
    serialize(element: T): string;
}

export declare abstract class KafkaDeserializer<T> {
    configure?(config: DeserializerConfig, isKey: boolean): void;
    abstract deserialize(topic: string, data: Buffer | null, headers: readonly RecordHeader[]): T | null;
    close?(): void;
}

export type KafkaDeserializerClass<T> = new () => KafkaDeserializer<T>;

export interface KafkaPartitioner<T> {
    copy?(): KafkaPartitioner<T>;
    open?(parallelInstanceId: number, parallelInstances: number): void;
    partition(element: T, key: Uint8Array | string | null, value: Uint8Array | string | null, targetTopic: string, partitions: readonly number[]): number;
}

export interface KafkaRecordDeserializationSchema<T> {
    open?(context: RuntimeContext): void | Promise<void>;
    deserialize(record: ConsumerRecord, out: Collector<T>): void;
    toString(): string;
}
export declare const KafkaRecordDeserializationSchema: {
    valueOnly<T>(schema: ValueDeserializer<T>): KafkaRecordDeserializationSchema<T>;
    valueOnly<T>(deserializer: KafkaDeserializerClass<T>, config?: DeserializerConfig): KafkaRecordDeserializationSchema<T>;
    of<T>(read: (record: ConsumerRecord) => T | undefined): KafkaRecordDeserializationSchema<T>;
};

export interface KafkaRecordSerializationSchema<T> {
    open?(context: RuntimeContext, sinkContext: KafkaSinkContext): void | Promise<void>;
    serialize(element: T, context: KafkaSinkContext, timestamp: number | null): ProducerRecord | null;
}
export declare const KafkaRecordSerializationSchema: {
    builder<T>(): KafkaRecordSerializationSchemaBuilder<T>;
};

export declare class KafkaRecordSerializationSchemaBuilder<T> {
    setTopic(topic: string): this;
    setTopicSelector(selector: TopicSelector<T>): this;
    setKeySerializationSchema(schema: SerializationSchema<T> | SerializationFunction<T>): this;
    setValueSerializationSchema(schema: SerializationSchema<T> | SerializationFunction<T>): this;
    setKafkaKeySerializer(serializer: SerializerClass<T> | Serializer<T>, config?: Readonly<Record<string, unknown>>): this;
    setKafkaValueSerializer(serializer: SerializerClass<T> | Serializer<T>, config?: Readonly<Record<string, unknown>>): this;
    setPartitioner(partitioner: KafkaPartitioner<T> | KafkaPartitioner<T>['partition']): this;
    setHeaderProvider(provider: HeaderProvider<T>): this;
    setTimestampProvider(provider: TimestampProvider<T>): this;
    setDeliveryGuarantee(_guarantee: unknown): never;
    build(): KafkaRecordSerializationSchema<T>;
}

export declare class KafkaSink<T> implements Sink<T, KafkaCommittable> {
    readonly transactional?: TransactionalSide<KafkaCommittable>;
    constructor(settings: KafkaSinkSettings<T>);
    static builder<T>(): KafkaSinkBuilder<T>;
    static to<T>(options: KafkaSinkOptions<T>): KafkaSink<T>;
    createWriter(context: SinkWriterContext): SinkWriter<T, KafkaCommittable>;
    describe(): Readonly<Record<string, unknown>>;
}

export declare class KafkaSinkBuilder<T> {
    constructor(style: 'builder' | 'object');
    setBootstrapServers(servers: string | readonly string[]): this;
    setRecordSerializer(serializer: KafkaRecordSerializationSchema<T>): this;
    setDeliveryGuarantee(guarantee: DeliveryGuarantee): this;
    setTransactionalIdPrefix(prefix: string): this;
    setTransactionNamingStrategy(strategy: TransactionNamingStrategy): this;
    setProperty(key: string, value: string | number | boolean): this;
    setProperties(properties: KafkaProperties): this;
    setKafkaProducerConfig(properties: KafkaProperties): this;
    setConnector(connector: SinkConnector): this;
    setAll(options: KafkaSinkOptions<T>): this;
    build(): KafkaSink<T>;
}

export interface KafkaSinkContext {
    readonly parallelInstanceId: number;
    readonly numberOfParallelInstances: number;
    partitionsForTopic(topic: string): readonly number[];
}

export interface KafkaSinkOptions<T> {
    readonly bootstrapServers: string | readonly string[];
    readonly recordSerializer?: KafkaRecordSerializationSchema<T>;
    readonly topic?: string;
    readonly topicSelector?: TopicSelector<T>;
    readonly keySerializationSchema?: SerializationSchema<T> | SerializationFunction<T>;
    readonly valueSerializationSchema?: SerializationSchema<T> | SerializationFunction<T>;
    readonly kafkaKeySerializer?: SerializerClass<T> | Serializer<T>;
    readonly kafkaValueSerializer?: SerializerClass<T> | Serializer<T>;
    readonly partitioner?: KafkaPartitioner<T> | KafkaPartitioner<T>['partition'];
    readonly headerProvider?: HeaderProvider<T>;
    readonly timestampProvider?: TimestampProvider<T>;
    readonly deliveryGuarantee?: DeliveryGuarantee;
    readonly transactionalIdPrefix?: string;
    readonly transactionNamingStrategy?: TransactionNamingStrategy;
    readonly properties?: KafkaProperties;
}

export declare class KafkaSource<T> implements Source<T, KafkaPartitionSplit, KafkaSourceEnumeratorState> {
    readonly splitSerializer: VersionedSerializer<KafkaPartitionSplit>;
    readonly enumeratorStateSerializer: VersionedSerializer<KafkaSourceEnumeratorState>;
    constructor(settings: KafkaSourceSettings<T>, connect?: ConnectSource);
    static builder<T = unknown>(): KafkaSourceBuilder<T>;
    static from<T>(definition: KafkaSourceDefinition<T>): KafkaSource<T>;
    get boundedness(): Boundedness;
    splitId(split: KafkaPartitionSplit): string;
    createEnumerator(context: SplitEnumeratorContext<KafkaPartitionSplit>, restored?: {
        readonly state: KafkaSourceEnumeratorState;
        readonly splits: readonly KafkaPartitionSplit[];
    }): SplitEnumerator<KafkaSourceEnumeratorState>;
    beginningOf(state: KafkaSourceEnumeratorState): KafkaSourceEnumeratorState;
    createReader(context: SourceReaderContext<T>): SourceReader<KafkaPartitionSplit>;
    publishPositions(splits: readonly KafkaPartitionSplit[], ports: RuntimePorts): Promise<void>;
    describe(): Readonly<Record<string, unknown>>;
    toString(): string;
}

export declare class KafkaSourceBuilder<T> {
    constructor(make: <U>(settings: KafkaSourceSettings<U>) => KafkaSource<U>);
    setBootstrapServers(bootstrapServers: string): this;
    setTopics(...topics: readonly string[] | [readonly string[]]): this;
    setTopicPattern(pattern: RegExp | string): this;
    setPartitions(partitions: Iterable<{
        readonly topic: string;
        readonly partition: number;
    }>): this;
    setKafkaSubscriber(subscriber: KafkaSubscriber): this;
    setGroupId(groupId: string): this;
    setStartingOffsets(startingOffsets: OffsetsInitializer): this;
    setBounded(stoppingOffsets: OffsetsInitializer): this;
    setUnbounded(stoppingOffsets: OffsetsInitializer): this;
    setDeserializer<U>(deserializer: KafkaRecordDeserializationSchema<U>): KafkaSourceBuilder<U>;
    setValueOnlyDeserializer<U>(deserializer: ValueDeserializer<U>): KafkaSourceBuilder<U>;
    setValueOnlyDeserializer<U>(deserializer: KafkaDeserializerClass<U>, config?: DeserializerConfig): KafkaSourceBuilder<U>;
    setClientIdPrefix(prefix: string): this;
    setRackIdSupplier(supplier: () => string): this;
    setProperty(key: string, value: PropertyValue): this;
    setProperties(properties: Readonly<Record<string, PropertyValue>>): this;
    build(): KafkaSource<T>;
}

export interface KafkaSourceDefinition<T> extends Subscription {
    readonly bootstrapServers: string;
    readonly groupId?: string;
    readonly startingOffsets?: OffsetsInitializer;
    readonly bounded?: OffsetsInitializer;
    readonly unbounded?: OffsetsInitializer;
    readonly deserializer?: KafkaRecordDeserializationSchema<T>;
    readonly valueOnlyDeserializer?: ValueDeserializer<T> | KafkaDeserializerClass<T>;
    readonly clientIdPrefix?: string;
    readonly rackIdSupplier?: () => string;
    readonly properties?: Readonly<Record<string, PropertyValue>>;
}

export interface KafkaSubscriber {
    getSubscribedTopicPartitions(admin: SourceAdmin): Promise<Iterable<TopicPartition>>;
    toString(): string;
}

export declare class LongDeserializer extends FixedSizeDeserializer<bigint> {
    protected readonly size = 8;
    protected read(data: Buffer): bigint;
}

export declare class LongSerializer extends Serializer<number | bigint | null> {
    serialize(_topic: string, data: number | bigint | null): Uint8Array | null;
}

export type OffsetResetStrategy = 'EARLIEST' | 'LATEST' | 'NONE';
export declare const OffsetResetStrategy: {
    readonly EARLIEST: 'EARLIEST';
    readonly LATEST: 'LATEST';
    readonly NONE: 'NONE';
};

export type OffsetSpecification = number | bigint | 'earliest' | 'latest' | 'committed';

export interface OffsetsInitializer {
    getPartitionOffsets(partitions: readonly TopicPartition[], retriever: PartitionOffsetsRetriever): PartitionOffsets | Promise<PartitionOffsets>;
    readonly autoOffsetResetStrategy: OffsetResetStrategy;
    validate?(properties: Readonly<Record<string, string>>): void;
    toString(): string;
}
export declare const OffsetsInitializer: {
    earliest(): OffsetsInitializer;
    latest(): OffsetsInitializer;
    committedOffsets(reset?: OffsetResetStrategy): OffsetsInitializer;
    timestamp(timestampMs: number): OffsetsInitializer;
    offsets(offsets: GivenOffsets, reset?: OffsetResetStrategy): OffsetsInitializer;
};

export type PartitionOffsets = Iterable<readonly [TopicPartition, OffsetSpecification]>;

export interface PartitionOffsetsRetriever {
    committedOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>>;
    beginningOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>>;
    endOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>>;
    offsetsForTimes(times: Iterable<readonly [TopicPartition, number]>): Promise<TopicPartitionMap<number>>;
}

export interface ProducerRecord {
    readonly topic: string;
    readonly partition?: number | undefined;
    readonly timestamp?: number | null | undefined;
    readonly key?: Uint8Array | string | null | undefined;
    readonly value: Uint8Array | string | null;
    readonly headers?: readonly ProducerRecordHeader[] | undefined;
}

export interface ProducerRecordHeader {
    readonly key: string;
    readonly value: Uint8Array | null;
}

export type SerializationFunction<T> = (element: T) => Uint8Array | string | null;

export interface SerializationSchema<T> {
    open?(context: RuntimeContext): void | Promise<void>;
    serialize(element: T): Uint8Array | string | null;
}

export declare abstract class Serializer<T> {
    configure(_config: Readonly<Record<string, unknown>>, _isKey: boolean): void;
    abstract serialize(topic: string, data: T): Uint8Array | string | null;
    close(): void | Promise<void>;
}

export type SerializerClass<T> = new () => Serializer<T>;

export declare class ShortDeserializer extends FixedSizeDeserializer<number> {
    protected readonly size = 2;
    protected read(data: Buffer): number;
}

export declare class SimpleStringSchema implements DeserializationSchema<string>, SerializationSchema<string> {
    readonly skipsNull = true;
    deserialize(bytes: Buffer | null): string | undefined;
    deserializeText(text: string): string;
    serialize(element: string): string;
}

export interface StandardSchema<T> {
    readonly '~standard': {
        readonly version: 1;
        readonly vendor: string;
        readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    };
}

export declare class StringDeserializer extends KafkaDeserializer<string> {
    get isUtf8(): boolean;
    configure(config: DeserializerConfig, isKey: boolean): void;
    deserialize(_topic: string, data: Buffer | null): string | null;
}

export declare class StringSerializer extends Serializer<string | null> {
    serialize(_topic: string, data: string | null): string | null;
}

export type TimestampProvider<T> = (element: T, timestamp: number | null) => number | null | undefined;

export declare class TopicPartition {
    readonly topic: string;
    readonly partition: number;
    constructor(topic: string, partition: number);
    toString(): string;
}

export declare class TopicPartitionMap<V> implements Iterable<[TopicPartition, V]> {
    constructor(entries?: Iterable<readonly [TopicPartition, V]>);
    get size(): number;
    get(partition: TopicPartition): V | undefined;
    has(partition: TopicPartition): boolean;
    set(partition: TopicPartition, value: V): this;
    keys(): Generator<TopicPartition>;
    values(): Generator<V>;
    [Symbol.iterator](): Iterator<[TopicPartition, V]>;
}

export type TopicSelector<T> = (element: T) => string;

export type TransactionNamingStrategy = 'POOLING' | 'INCREMENTING';
export declare const TransactionNamingStrategy: {
    readonly [Name in TransactionNamingStrategy]: Name;
};

export declare class UUIDDeserializer extends KafkaDeserializer<string> {
    deserialize(_topic: string, data: Buffer | null): string | null;
}

export type ValueDeserializer<T> = DeserializationSchema<T> | ((bytes: Buffer | null) => T | undefined);
