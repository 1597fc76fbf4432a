// The Java side of KafkaServer: one source file, compiled once per Kafka version, run in three ways.
//
//   KafkaTools node SERVER_PROPERTIES [format CLUSTER_ID [FEATURE=LEVEL ...]]   a broker that ends with its parent
//   KafkaTools tools BOOTSTRAP_SERVERS                                          Kafka's own clients, on request
//   KafkaTools train SERVER_PROPERTIES format CLUSTER_ID                        both for a moment, for a class archive
//
// Why it exists: tests compare this project with Apache Kafka's own clients, and a JVM start for each question would
// cost more than the question. Requests and answers are lines of JSON on standard input and output; records travel in
// files, because half a million of them as JSON would measure the pipe. What always holds: the process ends when its
// standard input does, so nothing outlives the test process, however that ended.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class KafkaTools {
  public static void main(String[] args) throws Exception {
    if (args.length >= 2 && args[0].equals("node")) {
      runNode(args);
    } else if (args.length == 2 && args[0].equals("tools")) {
      new KafkaTools(args[1]).serve();
    } else if (args.length >= 4 && args[0].equals("train")) {
      train(args);
    } else {
      System.err.println(
          "usage: KafkaTools node|train PROPERTIES [format CLUSTER_ID FEATURE=LEVEL...] | tools BOOTSTRAP");
      System.exit(2);
    }
  }

  // ---------------------------------------------------------------------------------------------------- broker

  private static void runNode(String[] args) {
    Thread guard = new Thread(KafkaTools::haltAtEndOfInput, "parent-guard");
    guard.setDaemon(true);
    guard.start();
    if (args.length >= 4 && args[2].equals("format")) {
      // Formatting in the broker's own process saves a JVM start of about a second.
      List<String> format = new ArrayList<>(List.of("format", "-t", args[3], "-c", args[1]));
      for (String feature : Arrays.copyOfRange(args, 4, args.length)) {
        format.add("--feature");
        format.add(feature);
      }
      int code = ((Number) kafka.tools.StorageTool.execute(format.toArray(new String[0]), System.err)).intValue();
      if (code != 0) {
        System.err.println("formatting the storage failed with code " + code);
        System.exit(code);
      }
    }
    kafka.Kafka.main(new String[] {args[1]});
  }

  private static void haltAtEndOfInput() {
    try {
      while (System.in.read() >= 0) {}
    } catch (IOException ended) {
      // An unreadable input means the same: nobody is there any more.
    }
    Runtime.getRuntime().halt(137);
  }

  /** Loads the classes that a small server and its clients use, and exits: the JVM then writes them to an archive. */
  private static void train(String[] args) throws Exception {
    Thread broker = new Thread(() -> runNode(args), "broker");
    broker.setDaemon(true);
    broker.start();
    Properties properties = new Properties();
    try (InputStream in = Files.newInputStream(Path.of(args[1]))) {
      properties.load(in);
    }
    KafkaTools tools = new KafkaTools(properties.getProperty("advertised.listeners").replaceAll("^[A-Z]+://", ""));
    String file = properties.getProperty("log.dirs") + ".records";
    tools.train("createTopic", "{\"topic\":\"t\",\"partitions\":1,\"replicationFactor\":1,\"config\":{}}");
    tools.train("produce", "{\"topic\":\"t\",\"generate\":{\"count\":10,\"value\":\"{i}\"},\"transactionalId\":\"t\"}");
    tools.train("read", "{\"topic\":\"t\",\"file\":" + tools.json.writeValueAsString(file) + "}");
    tools.train("features", "{}");
    tools.train("transactions", "{}");
    System.exit(0);
  }

  private void train(String op, String args) throws Exception {
    json.writeValueAsString(run(op, json.readTree(args)));
  }

  // ---------------------------------------------------------------------------------------------------- requests

  private final ObjectMapper json = new ObjectMapper();
  private final String bootstrap;
  private final PrintStream answers = System.out;
  private final Map<String, KafkaProducer<byte[], byte[]>> openTransactions = new ConcurrentHashMap<>();
  private Admin admin;

  private KafkaTools(String bootstrap) {
    this.bootstrap = bootstrap;
    // Libraries that print must not be taken for answers.
    System.setOut(System.err);
  }

  private void serve() throws IOException {
    ExecutorService workers =
        Executors.newCachedThreadPool(
            task -> {
              Thread thread = new Thread(task, "request");
              thread.setDaemon(true);
              return thread;
            });
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      JsonNode request = json.readTree(line);
      if (request.path("op").asText().equals("exit")) System.exit(0);
      workers.execute(() -> handle(request));
    }
    Runtime.getRuntime().halt(0);
  }

  private void handle(JsonNode request) {
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("id", request.path("id").asInt());
    try {
      answer.put("result", run(request.path("op").asText(), request.path("args")));
    } catch (Throwable thrown) {
      Throwable cause = thrown;
      while ((cause instanceof ExecutionException || cause instanceof CompletionException)
          && cause.getCause() != null) {
        cause = cause.getCause();
      }
      answer.put("error", cause.getClass().getSimpleName());
      answer.put("message", String.valueOf(cause.getMessage()));
      if (!(cause instanceof org.apache.kafka.common.KafkaException)) cause.printStackTrace();
    }
    try {
      String line = json.writeValueAsString(answer);
      synchronized (answers) {
        answers.println(line);
        answers.flush();
      }
    } catch (IOException unwritable) {
      unwritable.printStackTrace();
    }
  }

  private Object run(String op, JsonNode args) throws Exception {
    switch (op) {
      case "createTopic": return createTopic(args);
      case "createPartitions": return createPartitions(args);
      case "deleteTopic": return admin().deleteTopics(List.of(args.get("topic").asText())).all().get();
      case "deleteRecords": return deleteRecords(args);
      case "listTopics": return sorted(admin().listTopics().names().get());
      case "describeTopic": return describeTopic(args);
      case "setTopicConfig": return setTopicConfig(args);
      case "offsets": return offsets(args);
      case "groupOffsets": return groupOffsets(args);
      case "setGroupOffsets": return setGroupOffsets(args);
      case "transactions": return transactions();
      case "describeTransaction": return describeTransaction(args);
      case "producers": return producers(args);
      case "fence": return admin().fenceProducers(List.of(args.get("transactionalId").asText())).all().get();
      case "features": return features();
      case "setFeature": return setFeature(args);
      case "produce": return produce(args);
      case "endTransaction": return endTransaction(args);
      case "read": return read(args);
      case "metricNames": return metricNames(args);
      case "deny": return deny(args);
      default: throw new IllegalArgumentException("unknown request " + op);
    }
  }

  private synchronized Admin admin() {
    if (admin == null) {
      admin = Admin.create(Map.of(
          "bootstrap.servers", bootstrap, "client.id", "test-tools",
          "request.timeout.ms", 30_000, "default.api.timeout.ms", 100_000, "metadata.max.age.ms", 2_000));
    }
    return admin;
  }

  // ---------------------------------------------------------------------------------------------------- topics

  private Object createTopic(JsonNode args) throws Exception {
    NewTopic topic = new NewTopic(
        args.get("topic").asText(), args.get("partitions").asInt(), (short) args.get("replicationFactor").asInt());
    Waiting waiting = new Waiting("there are brokers for " + topic);
    while (true) {
      try {
        admin().createTopics(List.of(topic.configs(strings(args.get("config"))))).all().get();
        return null;
      } catch (ExecutionException refused) {
        // A node that stood still for longer than its session lasts is back with its next heartbeat.
        if (!String.valueOf(refused.getMessage()).contains("are currently fenced")) throw refused;
        waiting.pause();
      }
    }
  }

  private Object createPartitions(JsonNode args) throws Exception {
    NewPartitions total = NewPartitions.increaseTo(args.get("partitions").asInt());
    String topic = args.get("topic").asText();
    admin().createPartitions(Map.of(topic, total)).all().get();
    // The controller has answered; brokers learn of it a moment later.
    Waiting waiting = new Waiting("the new partitions of " + topic + " are led");
    while (admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream()
        .filter(info -> info.leader() != null).count() < args.get("partitions").asInt()) waiting.pause();
    return null;
  }

  private Object deleteRecords(JsonNode args) throws Exception {
    TopicPartition partition = new TopicPartition(args.get("topic").asText(), args.get("partition").asInt());
    RecordsToDelete before = RecordsToDelete.beforeOffset(args.get("beforeOffset").asLong());
    return admin().deleteRecords(Map.of(partition, before)).all().get();
  }

  private Object describeTopic(JsonNode args) throws Exception {
    String name = args.get("topic").asText();
    TopicDescription topic = admin().describeTopics(List.of(name)).allTopicNames().get().get(name);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
    Map<String, Object> config = new TreeMap<>();
    for (ConfigEntry entry : admin().describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
      config.put(entry.name(), entry.value());
    }
    List<Object> partitions = new ArrayList<>();
    for (TopicPartitionInfo info : topic.partitions()) {
      partitions.add(object(
          "partition", info.partition(), "leader", info.leader() == null ? null : info.leader().id(),
          "replicas", ids(info.replicas()), "isr", ids(info.isr())));
    }
    return object("topic", name, "topicId", topic.topicId().toString(), "partitions", partitions, "config", config);
  }

  private Object setTopicConfig(JsonNode args) throws Exception {
    Collection<AlterConfigOp> changes = new ArrayList<>();
    strings(args.get("config")).forEach(
        (key, value) -> changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, args.get("topic").asText());
    return admin().incrementalAlterConfigs(Map.of(resource, changes)).all().get();
  }

  // ---------------------------------------------------------------------------------------------------- offsets

  private Object offsets(JsonNode args) throws Exception {
    JsonNode at = args.get("at");
    OffsetSpec spec = at.isNumber() ? OffsetSpec.forTimestamp(at.asLong())
        : at.asText().equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
    boolean stable = at.asText().equals("last-stable");
    return sortedOffsets(offsets(args.get("topic").asText(), spec, stable));
  }

  private Map<Integer, Long> offsets(String topic, OffsetSpec spec, boolean stable) throws Exception {
    Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
    TopicDescription description = admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    for (TopicPartitionInfo info : description.partitions()) {
      specs.put(new TopicPartition(topic, info.partition()), spec);
    }
    IsolationLevel isolation = stable ? IsolationLevel.READ_COMMITTED : IsolationLevel.READ_UNCOMMITTED;
    Map<Integer, Long> found = new TreeMap<>();
    for (Map.Entry<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> entry :
        admin().listOffsets(specs, new ListOffsetsOptions(isolation)).all().get().entrySet()) {
      found.put(entry.getKey().partition(), entry.getValue().offset());
    }
    return found;
  }

  private static List<Long> sortedOffsets(Map<Integer, Long> offsets) {
    return new ArrayList<>(offsets.values());
  }

  private Object groupOffsets(JsonNode args) throws Exception {
    String group = args.get("group").asText();
    List<Object> found = new ArrayList<>();
    for (Map.Entry<TopicPartition, OffsetAndMetadata> entry :
        admin().listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().entrySet()) {
      if (entry.getValue() == null) continue;
      found.add(object(
          "topic", entry.getKey().topic(), "partition", entry.getKey().partition(),
          "offset", entry.getValue().offset(), "metadata", entry.getValue().metadata()));
    }
    return found;
  }

  private Object setGroupOffsets(JsonNode args) throws Exception {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    for (JsonNode entry : args.get("offsets")) {
      offsets.put(
          new TopicPartition(entry.get("topic").asText(), entry.get("partition").asInt()),
          new OffsetAndMetadata(entry.get("offset").asLong()));
    }
    return admin().alterConsumerGroupOffsets(args.get("group").asText(), offsets).all().get();
  }

  // ---------------------------------------------------------------------------------------------------- transactions

  private Object transactions() throws Exception {
    List<Object> found = new ArrayList<>();
    for (TransactionListing listing : admin().listTransactions().all().get()) {
      found.add(object(
          "transactionalId", listing.transactionalId(), "producerId", listing.producerId(),
          "state", listing.state().toString()));
    }
    return found;
  }

  private Object describeTransaction(JsonNode args) throws Exception {
    TransactionDescription described =
        admin().describeTransactions(List.of(args.get("transactionalId").asText())).all().get().values().iterator().next();
    List<Object> partitions = new ArrayList<>();
    for (TopicPartition partition : described.topicPartitions()) {
      partitions.add(object("topic", partition.topic(), "partition", partition.partition()));
    }
    return object(
        "state", described.state().toString(), "producerId", described.producerId(),
        "producerEpoch", described.producerEpoch(), "timeoutMs", described.transactionTimeoutMs(),
        "partitions", partitions);
  }

  private Object producers(JsonNode args) throws Exception {
    TopicPartition partition = new TopicPartition(args.get("topic").asText(), args.get("partition").asInt());
    List<Object> found = new ArrayList<>();
    for (ProducerState state :
        admin().describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers()) {
      found.add(object(
          "producerId", state.producerId(), "producerEpoch", state.producerEpoch(),
          "lastSequence", state.lastSequence(), "lastTimestamp", state.lastTimestamp(),
          "transactionStartOffset",
          state.currentTransactionStartOffset().isPresent() ? state.currentTransactionStartOffset().getAsLong() : null));
    }
    return found;
  }

  // ---------------------------------------------------------------------------------------------------- features

  private Object features() throws Exception {
    Map<String, Object> finalized = new TreeMap<>();
    admin().describeFeatures().featureMetadata().get().finalizedFeatures()
        .forEach((name, range) -> finalized.put(name, range.maxVersionLevel()));
    return finalized;
  }

  private Object setFeature(JsonNode args) throws Exception {
    String name = args.get("feature").asText();
    short level = (short) args.get("level").asInt();
    Object current = ((Map<?, ?>) features()).get(name);
    boolean down = current != null && ((Number) current).intValue() > level;
    FeatureUpdate update = new FeatureUpdate(
        level, down ? FeatureUpdate.UpgradeType.SAFE_DOWNGRADE : FeatureUpdate.UpgradeType.UPGRADE);
    return admin().updateFeatures(Map.of(name, update), new UpdateFeaturesOptions()).all().get();
  }

  // ---------------------------------------------------------------------------------------------------- producing

  private Object produce(JsonNode args) throws Exception {
    String topic = args.get("topic").asText();
    String transactionalId = args.hasNonNull("transactionalId") ? args.get("transactionalId").asText() : null;
    String end = args.path("end").asText("commit");
    KafkaProducer<byte[], byte[]> producer = producer(args, transactionalId);
    boolean keep = false;
    Sent sent = new Sent();
    try {
      if (args.hasNonNull("file")) sendFile(producer, topic, Path.of(args.get("file").asText()), sent);
      else sendGenerated(producer, topic, args.get("generate"), sent);
      producer.flush();
      sent.rethrow();
      if (transactionalId != null) {
        if (end.equals("open")) keep = true;
        else end(producer, transactionalId, end);
      }
    } finally {
      if (!keep) {
        if (transactionalId != null) openTransactions.remove(transactionalId);
        // Without waiting: an unfinished transaction is left to its timeout, as by a producer that died.
        producer.close(Duration.ZERO);
      }
    }
    List<Object> ranges = new ArrayList<>();
    sent.ranges.forEach((partition, range) ->
        ranges.add(object("partition", partition, "count", range[0], "first", range[1], "last", range[2])));
    return object("count", sent.count, "partitions", ranges);
  }

  private KafkaProducer<byte[], byte[]> producer(JsonNode args, String transactionalId) {
    if (transactionalId != null && openTransactions.containsKey(transactionalId)) {
      return openTransactions.get(transactionalId);
    }
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("acks", "all");
    config.put("linger.ms", 5);
    config.put("batch.size", 256 * 1024);
    config.put("buffer.memory", 64L * 1024 * 1024);
    config.put("compression.type", args.path("compression").asText("none"));
    if (transactionalId != null) {
      config.put("transactional.id", transactionalId);
      // One that is left open for a test is not to end by itself while the test is at work on a slow machine.
      config.put("transaction.timeout.ms", 600_000);
    }
    config.putAll(strings(args.get("properties")));
    KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    if (transactionalId != null) {
      try {
        producer.initTransactions();
        producer.beginTransaction();
      } catch (RuntimeException failed) {
        producer.close(Duration.ZERO);
        throw failed;
      }
      openTransactions.put(transactionalId, producer);
    }
    return producer;
  }

  private void end(KafkaProducer<byte[], byte[]> producer, String transactionalId, String end) throws Exception {
    switch (end) {
      case "commit": producer.commitTransaction(); break;
      case "abort": producer.abortTransaction(); break;
      case "abandon": return;
      default: throw new IllegalArgumentException("a transaction ends by commit, abort or abandon, not " + end);
    }
    waitForMarkers(transactionalId);
  }

  /** A commit or an abort is answered when it is decided; its markers are written a moment later. */
  private void waitForMarkers(String transactionalId) throws Exception {
    Waiting waiting = new Waiting("the markers of " + transactionalId + " are written");
    try {
      while (admin().describeTransactions(List.of(transactionalId)).description(transactionalId).get().state()
          .toString().startsWith("Prepare")) waiting.pause();
    } catch (ExecutionException failed) {
      // Brokers before 3.0 do not tell.
      if (!(failed.getCause() instanceof org.apache.kafka.common.errors.UnsupportedVersionException)) throw failed;
    }
  }

  /** For what becomes true by itself soon: a pause between two looks, and an end to them. */
  private static final class Waiting {
    private final String what;
    private final long deadline = System.nanoTime() + 90_000_000_000L;

    Waiting(String what) {
      this.what = what;
    }

    void pause() throws InterruptedException {
      if (System.nanoTime() > deadline) throw new IllegalStateException("not within 90 s: " + what);
      Thread.sleep(5);
    }
  }

  private Object endTransaction(JsonNode args) throws Exception {
    String transactionalId = args.get("transactionalId").asText();
    KafkaProducer<byte[], byte[]> producer = openTransactions.remove(transactionalId);
    if (producer == null) throw new IllegalArgumentException("no open transaction of " + transactionalId + " here");
    try {
      end(producer, transactionalId, args.get("end").asText());
    } finally {
      producer.close(Duration.ZERO);
    }
    return null;
  }

  private static void sendFile(KafkaProducer<byte[], byte[]> producer, String topic, Path file, Sent sent)
      throws IOException {
    try (InputStream raw = Files.newInputStream(file);
        DataInputStream in = new DataInputStream(new BufferedInputStream(raw, 1 << 20))) {
      while (true) {
        int partition;
        try {
          partition = in.readInt();
        } catch (EOFException end) {
          return;
        }
        in.readLong();
        long timestamp = in.readLong();
        in.readByte();
        byte[] key = readBytes(in);
        byte[] value = readBytes(in);
        int headerCount = in.readInt();
        Headers headers = headerCount == 0 ? null : new RecordHeaders();
        for (int i = 0; i < headerCount; i++) {
          String name = new String(readBytes(in), StandardCharsets.UTF_8);
          headers.add(name, readBytes(in));
        }
        sent.send(producer, new ProducerRecord<>(
            topic, partition < 0 ? null : partition, timestamp < 0 ? null : timestamp, key, value, headers));
      }
    }
  }

  private static void sendGenerated(KafkaProducer<byte[], byte[]> producer, String topic, JsonNode spec, Sent sent) {
    Template value = new Template(spec.get("value").asText(), spec.path("valueBytes").asInt(0));
    Template key = spec.hasNonNull("key") ? new Template(spec.get("key").asText(), 0) : null;
    long from = spec.path("from").asLong(0);
    long count = spec.get("count").asLong();
    int partitions = spec.path("partitions").asInt(0);
    boolean stamped = spec.hasNonNull("timestampFrom");
    long timestampFrom = spec.path("timestampFrom").asLong();
    long timestampStep = spec.path("timestampStep").asLong(1);
    for (long i = from; i < from + count; i++) {
      Integer partition = spec.hasNonNull("partition") ? Integer.valueOf(spec.get("partition").asInt())
          : partitions > 0 ? Integer.valueOf((int) (i % partitions)) : null;
      Long timestamp = stamped ? timestampFrom + (i - from) * timestampStep : null;
      sent.send(producer, new ProducerRecord<>(
          topic, partition, timestamp, key == null ? null : key.fill(i), value.fill(i)));
    }
  }

  /** What was acknowledged: counts and offset ranges by partition, and the first failure. */
  private static final class Sent {
    long count;
    final Map<Integer, long[]> ranges = new TreeMap<>();
    final AtomicReference<Exception> failure = new AtomicReference<>();

    void send(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record) {
      if (failure.get() != null) throw new IllegalStateException(failure.get());
      producer.send(record, (metadata, exception) -> {
        // Callbacks come one at a time, on the producer's thread; flush() orders them before the answer.
        if (exception != null) {
          failure.compareAndSet(null, exception);
          return;
        }
        long[] range = ranges.computeIfAbsent(
            metadata.partition(), partition -> new long[] {0, metadata.offset(), metadata.offset()});
        range[0]++;
        range[1] = Math.min(range[1], metadata.offset());
        range[2] = Math.max(range[2], metadata.offset());
        count++;
      });
    }

    void rethrow() throws Exception {
      if (failure.get() != null) throw failure.get();
    }
  }

  /** Text with {i} and {i%N} places, filled with the record's number; padded with spaces to a length if asked. */
  private static final class Template {
    private final List<byte[]> texts = new ArrayList<>();
    private final List<Long> modulos = new ArrayList<>();
    private final int bytesMin;

    Template(String template, int bytesMin) {
      this.bytesMin = bytesMin;
      java.util.regex.Matcher place = java.util.regex.Pattern.compile("\\{i(?:%([1-9][0-9]*))?\\}").matcher(template);
      int at = 0;
      while (place.find()) {
        texts.add(template.substring(at, place.start()).getBytes(StandardCharsets.UTF_8));
        modulos.add(place.group(1) == null ? Long.MAX_VALUE : Long.parseLong(place.group(1)));
        at = place.end();
      }
      texts.add(template.substring(at).getBytes(StandardCharsets.UTF_8));
    }

    byte[] fill(long i) {
      byte[][] parts = new byte[modulos.size()][];
      int length = 0;
      for (int p = 0; p < parts.length; p++) {
        parts[p] = Long.toString(i % modulos.get(p)).getBytes(StandardCharsets.ISO_8859_1);
        length += parts[p].length + texts.get(p).length;
      }
      length += texts.get(parts.length).length;
      byte[] filled = new byte[Math.max(length, bytesMin)];
      int at = 0;
      for (int p = 0; p <= parts.length; p++) {
        byte[] text = texts.get(p);
        System.arraycopy(text, 0, filled, at, text.length);
        at += text.length;
        if (p == parts.length) break;
        System.arraycopy(parts[p], 0, filled, at, parts[p].length);
        at += parts[p].length;
      }
      Arrays.fill(filled, at, filled.length, (byte) ' ');
      return filled;
    }
  }

  // ---------------------------------------------------------------------------------------------------- rights

  /** Everybody may do everything with the resource but this. */
  private Object deny(JsonNode args) throws Exception {
    ResourcePattern resource = new ResourcePattern(
        ResourceType.fromString(args.get("type").asText()), args.get("name").asText(), PatternType.LITERAL);
    AclOperation denied = AclOperation.fromString(args.get("operation").asText());
    List<AclBinding> rules = List.of(
        new AclBinding(resource, new AccessControlEntry("User:*", "*", AclOperation.ALL, AclPermissionType.ALLOW)),
        new AclBinding(resource, new AccessControlEntry("User:*", "*", denied, AclPermissionType.DENY)));
    admin().createAcls(rules).all().get();
    // The controller has answered; the broker's own authorizer goes by a rule once it tells of it.
    Waiting waiting = new Waiting("the broker goes by what was denied");
    while (!admin().describeAcls(AclBindingFilter.ANY).values().get().containsAll(rules)) waiting.pause();
    return null;
  }

  // ---------------------------------------------------------------------------------------------------- reading

  private Object read(JsonNode args) throws Exception {
    String topic = args.get("topic").asText();
    boolean committed = args.path("isolation").asText("read_committed").equals("read_committed");
    long deadline = System.nanoTime() + args.path("timeoutMs").asLong(60_000) * 1_000_000L;
    Map<Integer, Long> ends = offsets(topic, OffsetSpec.latest(), committed);
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
    config.put("enable.auto.commit", "false");
    config.put("auto.offset.reset", "earliest");
    config.put("max.poll.records", "20000");
    config.put("max.partition.fetch.bytes", "8388608");
    config.putAll(strings(args.get("properties")));
    long count = 0;
    try (KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        DataOutputStream out = new DataOutputStream(
            new BufferedOutputStream(Files.newOutputStream(Path.of(args.get("file").asText())), 1 << 20))) {
      List<TopicPartition> left = new ArrayList<>();
      ends.keySet().forEach(partition -> left.add(new TopicPartition(topic, partition)));
      consumer.assign(left);
      consumer.seekToBeginning(left);
      while (true) {
        left.removeIf(partition -> {
          boolean done = consumer.position(partition) >= ends.get(partition.partition());
          if (done) consumer.pause(List.of(partition));
          return done;
        });
        if (left.isEmpty()) break;
        if (System.nanoTime() > deadline) throw new IllegalStateException(
            "read " + count + " records of " + topic + " in time, but not to the end of " + left + " of ends " + ends);
        ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofMillis(200));
        for (ConsumerRecord<byte[], byte[]> record : polled) {
          // What was appended after the call belongs to the next call.
          if (record.offset() >= ends.get(record.partition())) continue;
          writeRecord(out, record);
          count++;
        }
      }
    }
    return object("count", count, "ends", sortedOffsets(ends));
  }

  /** The names of the metrics that Java's clients have after one record was written to the topic and read. */
  private Object metricNames(JsonNode args) throws Exception {
    String topic = args.get("topic").asText();
    Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest");
    Map<String, Object> names = new TreeMap<>();
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
      producer.send(new ProducerRecord<>(topic, new byte[1])).get();
      names.put("producer", metricNames(producer.metrics()));
    }
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(List.of(new TopicPartition(topic, 0)));
      long deadline = System.nanoTime() + 90_000_000_000L;
      while (consumer.poll(Duration.ofMillis(200)).isEmpty() && System.nanoTime() < deadline) {}
      names.put("consumer", metricNames(consumer.metrics()));
    }
    return names;
  }

  private static Object metricNames(Map<MetricName, ? extends Metric> metrics) {
    return sorted(metrics.keySet().stream().map(MetricName::name).collect(Collectors.toSet()));
  }

  private static void writeRecord(DataOutputStream out, ConsumerRecord<byte[], byte[]> record) throws IOException {
    out.writeInt(record.partition());
    out.writeLong(record.offset());
    out.writeLong(record.timestamp());
    out.writeByte(record.timestampType().id);
    writeBytes(out, record.key());
    writeBytes(out, record.value());
    Header[] headers = record.headers().toArray();
    out.writeInt(headers.length);
    for (Header header : headers) {
      writeBytes(out, header.key().getBytes(StandardCharsets.UTF_8));
      writeBytes(out, header.value());
    }
  }

  private static void writeBytes(DataOutputStream out, byte[] bytes) throws IOException {
    out.writeInt(bytes == null ? -1 : bytes.length);
    if (bytes != null) out.write(bytes);
  }

  private static byte[] readBytes(DataInputStream in) throws IOException {
    int length = in.readInt();
    return length < 0 ? null : in.readNBytes(length);
  }

  // ---------------------------------------------------------------------------------------------------- JSON

  private static Map<String, Object> object(Object... keysAndValues) {
    Map<String, Object> made = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) made.put((String) keysAndValues[i], keysAndValues[i + 1]);
    return made;
  }

  private static Map<String, String> strings(JsonNode node) {
    Map<String, String> made = new HashMap<>();
    if (node != null) node.fields().forEachRemaining(field -> made.put(field.getKey(), field.getValue().asText()));
    return made;
  }

  private static List<Integer> ids(List<Node> nodes) {
    List<Integer> made = new ArrayList<>();
    for (Node node : nodes) made.add(node.id());
    return made;
  }

  private static List<String> sorted(Collection<String> names) {
    List<String> made = new ArrayList<>(names);
    Collections.sort(made);
    return made;
  }
}
