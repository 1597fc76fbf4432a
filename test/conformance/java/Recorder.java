// Acts out the scenarios of the conformance suite with Apache Kafka's own Java clients and writes down every answer:
// java -cp JARS Recorder.java SCENARIOS.json ANSWERS.json BOOTSTRAP PREFIX
//
// Why: what this project's client says is compared with these answers, so that the measure is Kafka's client and not an
// opinion about it. The meaning of each step is written in ../scenario.ts. What always holds: nothing is recorded that
// another run could see differently (times of the broker, addresses, identities); an answer is what the client said, or
// { "error": NAME } with Kafka's name of the error.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.InvalidOffsetException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Recorder {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final long READ_TIMEOUT_MS = 30_000;
  private static final long SETTLE_TIMEOUT_MS = 30_000;
  private static final int RECORDS_SHOWN = 30;
  private static final int BYTES_SHOWN = 64;
  private static final long DAY_MS = 86_400_000L;

  public static void main(String[] args) throws Exception {
    JsonNode scenarios = JSON.readTree(new File(args[0]));
    ObjectNode all = NODES.objectNode();
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[2]))) {
      int number = 0;
      for (JsonNode scenario : scenarios) {
        String name = scenario.get("name").asText();
        ArrayNode answers = all.putArray(name);
        try (Scene scene = new Scene(admin, args[2], args[3] + number++ + "-")) {
          for (JsonNode step : scenario.get("steps")) {
            JsonNode answer = scene.act(step);
            if (answer.has("bug")) throw new IllegalStateException(name + ": " + step + ": " + answer.get("bug"));
            answers.add(answer);
          }
        }
      }
    }
    JSON.writeValue(new File(args[1]), all);
    System.exit(0);
  }

  /** One scenario: its names, producers and readers. */
  private static final class Scene implements AutoCloseable {
    private final Admin admin;
    private final String bootstrap;
    private final String prefix;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    private final Map<String, String> idOfProducer = new HashMap<>();
    private final Map<String, Integer> written = new HashMap<>();
    private final Map<String, Reader> readers = new HashMap<>();

    Scene(Admin admin, String bootstrap, String prefix) {
      this.admin = admin;
      this.bootstrap = bootstrap;
      this.prefix = prefix;
    }

    JsonNode act(JsonNode step) {
      try {
        switch (step.get("do").asText()) {
          case "createTopic": return createTopic(step);
          case "produce": return produce(step);
          case "begin": return begin(step);
          case "commit": return end(step.get("producer").asText(), true);
          case "abort": return end(step.get("producer").asText(), false);
          case "expire": return settle(step.get("id").asText());
          case "describeTransaction": return describeTransaction(step.get("id").asText());
          case "listTransactions": return listTransactions(step);
          case "read": return read(step);
          case "seek": return seek(step);
          case "pause": return rest(step, true);
          case "resume": return rest(step, false);
          case "offsets": return offsets(step);
          case "deleteRecords": return deleteRecords(step);
          case "commitGroup": return commitGroup(step);
          case "groupOffsets": return groupOffsets(step);
          case "describeTopic": return describeTopic(step);
          case "describeConfigs": return describeConfigs(step);
          default: throw new IllegalArgumentException("no such step: " + step);
        }
      } catch (Throwable thrown) {
        return error(thrown);
      }
    }

    @Override
    public void close() {
      for (KafkaProducer<byte[], byte[]> producer : producers.values()) producer.close(Duration.ZERO);
      for (Reader reader : readers.values()) reader.consumer.close();
    }

    // -------------------------------------------------------------------------------------------------- topics

    private JsonNode createTopic(JsonNode step) throws Exception {
      Map<String, String> config = strings(step.get("config"));
      config.put("retention.ms", "-1");
      NewTopic topic = new NewTopic(
          prefix + step.get("topic").asText(), step.get("partitions").asInt(), (short) step.get("replicationFactor").asInt());
      admin.createTopics(List.of(topic.configs(config))).all().get();
      // Nodes learn of it one after the other; several in a row are most likely all.
      for (int known = 0; known < 5; known++) describe(topic.name(), true);
      return ok();
    }

    /** Waiting for a topic that is only just being made, if so wished. */
    private TopicDescription describe(String topic, boolean patient) throws Exception {
      for (int round = 0; ; round++) {
        try {
          return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        } catch (ExecutionException failed) {
          boolean unknown = failed.getCause() instanceof UnknownTopicOrPartitionException;
          if (!unknown || !patient || round > 200) throw failed;
          Thread.sleep(20);
        }
      }
    }

    private JsonNode describeTopic(JsonNode step) throws Exception {
      TopicDescription found = describe(prefix + step.get("topic").asText(), false);
      ObjectNode answer = NODES.objectNode();
      answer.put("partitions", found.partitions().size());
      answer.put("replicas", found.partitions().get(0).replicas().size());
      return answer;
    }

    private JsonNode describeConfigs(JsonNode step) throws Exception {
      ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, prefix + step.get("topic").asText());
      var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
      ObjectNode answer = NODES.objectNode();
      for (JsonNode key : step.get("keys")) answer.put(key.asText(), config.get(key.asText()).value());
      return answer;
    }

    private JsonNode deleteRecords(JsonNode step) throws Exception {
      TopicPartition partition = partition(step);
      var result = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(step.get("before").asLong())));
      return NODES.objectNode().put("lowWatermark", result.lowWatermarks().get(partition).get().lowWatermark());
    }

    // -------------------------------------------------------------------------------------------------- writing

    private JsonNode produce(JsonNode step) throws Exception {
      KafkaProducer<byte[], byte[]> producer = producer(step.get("producer").asText(), step.get("settings"), Map.of());
      String topic = prefix + step.get("topic").asText();
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (JsonNode record : step.get("records")) {
        RecordHeaders headers = new RecordHeaders();
        for (JsonNode header : record.get("headers")) headers.add(header.get(0).asText(), bytes(header.get(1)));
        int partition = record.get("partition").asInt();
        sent.add(producer.send(new ProducerRecord<>(
            topic, partition < 0 ? null : partition, record.get("timestamp").asLong(),
            bytes(record.get("key")), bytes(record.get("value")), headers)));
      }
      producer.flush();
      for (Future<RecordMetadata> one : sent) one.get();
      written.merge(step.get("producer").asText(), sent.size(), Integer::sum);
      return ok();
    }

    private JsonNode begin(JsonNode step) {
      String name = step.get("producer").asText();
      boolean known = producers.containsKey(name);
      String id = prefix + step.get("id").asText();
      KafkaProducer<byte[], byte[]> producer = producer(name, step.get("settings"), Map.of(
          "transactional.id", id, "transaction.timeout.ms", step.get("timeoutMs").asText()));
      idOfProducer.put(name, step.get("id").asText());
      if (!known) producer.initTransactions();
      producer.beginTransaction();
      written.put(name, 0);
      return ok();
    }

    private KafkaProducer<byte[], byte[]> producer(String name, JsonNode settings, Map<String, Object> transaction) {
      return producers.computeIfAbsent(name, unused -> {
        Map<String, Object> config = new HashMap<>(strings(settings));
        config.put("bootstrap.servers", bootstrap);
        config.put("max.block.ms", 5_000);
        config.putAll(transaction);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
      });
    }

    private JsonNode end(String name, boolean commit) throws Exception {
      KafkaProducer<byte[], byte[]> producer = producers.get(name);
      if (commit) producer.commitTransaction();
      else producer.abortTransaction();
      // Without records nobody tells the coordinator, and there is nothing to wait for.
      return written.get(name) == 0 ? ok() : settle(idOfProducer.get(name));
    }

    private JsonNode settle(String id) throws Exception {
      long deadline = System.nanoTime() + SETTLE_TIMEOUT_MS * 1_000_000L;
      while (true) {
        TransactionState state = describe(id).state();
        if (state != TransactionState.ONGOING && !state.toString().startsWith("Prepare")) return ok();
        if (System.nanoTime() > deadline) return bug("the transaction of " + id + " stays " + state);
        Thread.sleep(10);
      }
    }

    private TransactionDescription describe(String id) throws Exception {
      return admin.describeTransactions(List.of(prefix + id)).all().get().values().iterator().next();
    }

    private JsonNode describeTransaction(String id) throws Exception {
      TransactionDescription found = describe(id);
      ObjectNode answer = NODES.objectNode();
      answer.put("state", found.state().toString());
      answer.put("timeoutMs", found.transactionTimeoutMs());
      answer.put("started", found.transactionStartTimeMs().isPresent());
      Set<String> partitions = new TreeSet<>();
      for (TopicPartition one : found.topicPartitions()) {
        partitions.add(one.topic().substring(prefix.length()) + "-" + one.partition());
      }
      ArrayNode list = answer.putArray("partitions");
      partitions.forEach(list::add);
      return answer;
    }

    private JsonNode listTransactions(JsonNode step) throws Exception {
      List<TransactionState> states = new ArrayList<>();
      for (JsonNode state : step.get("states")) states.add(TransactionState.parse(state.asText()));
      Map<String, String> found = new TreeMap<>();
      for (TransactionListing one : admin.listTransactions(new ListTransactionsOptions().filterStates(states)).all().get()) {
        if (!one.transactionalId().startsWith(prefix)) continue;
        found.put(one.transactionalId().substring(prefix.length()), one.state().toString());
      }
      ObjectNode answer = NODES.objectNode();
      found.forEach(answer::put);
      return answer;
    }

    // -------------------------------------------------------------------------------------------------- reading

    private static final class Reader {
      KafkaConsumer<byte[], byte[]> consumer;
      IsolationLevel isolation;
      List<TopicPartition> partitions = new ArrayList<>();
      Set<TopicPartition> paused = new HashSet<>();
    }

    private Reader reader(JsonNode step) throws Exception {
      Reader known = readers.get(step.get("reader").asText());
      if (known != null) return known;
      Reader reader = new Reader();
      String topic = prefix + step.get("topic").asText();
      Map<String, Object> config = new HashMap<>(strings(step.get("settings")));
      config.put("bootstrap.servers", bootstrap);
      config.put("isolation.level", step.get("isolation").asText());
      config.put("enable.auto.commit", "false");
      config.put("auto.offset.reset", "none");
      reader.isolation = step.get("isolation").asText().equals("read_committed")
          ? IsolationLevel.READ_COMMITTED : IsolationLevel.READ_UNCOMMITTED;
      reader.consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
      int count = describe(topic, true).partitions().size();
      for (int partition = 0; partition < count; partition++) reader.partitions.add(new TopicPartition(topic, partition));
      reader.consumer.assign(reader.partitions);
      for (TopicPartition partition : reader.partitions) reader.consumer.seek(partition, step.get("from").asLong());
      readers.put(step.get("reader").asText(), reader);
      return reader;
    }

    private JsonNode read(JsonNode step) throws Exception {
      Reader reader = reader(step);
      List<TopicPartition> active = new ArrayList<>(reader.partitions);
      active.removeAll(reader.paused);
      Map<TopicPartition, Long> ends = ends(active, reader.isolation);
      Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> seen = new HashMap<>();
      for (TopicPartition partition : active) seen.put(partition, new ArrayList<>());
      long deadline = System.nanoTime() + READ_TIMEOUT_MS * 1_000_000L;
      // A position beyond the end is not the end: then the broker has something to say.
      while (active.stream().anyMatch(partition -> reader.consumer.position(partition) != ends.get(partition))) {
        if (System.nanoTime() > deadline) return bug("not read to the end " + ends);
        for (ConsumerRecord<byte[], byte[]> record : reader.consumer.poll(Duration.ofMillis(50))) {
          seen.get(new TopicPartition(record.topic(), record.partition())).add(record);
        }
      }
      ArrayNode answer = NODES.arrayNode();
      for (TopicPartition partition : active) {
        ObjectNode part = answer.addObject();
        part.put("partition", partition.partition());
        part.put("position", reader.consumer.position(partition));
        show(part, seen.get(partition));
      }
      return answer;
    }

    private Map<TopicPartition, Long> ends(List<TopicPartition> partitions, IsolationLevel isolation) throws Exception {
      Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
      for (TopicPartition partition : partitions) asked.put(partition, OffsetSpec.latest());
      Map<TopicPartition, Long> ends = new HashMap<>();
      admin.listOffsets(asked, new ListOffsetsOptions(isolation)).all().get()
          .forEach((partition, info) -> ends.put(partition, info.offset()));
      return ends;
    }

    private JsonNode seek(JsonNode step) {
      Reader reader = readers.get(step.get("reader").asText());
      reader.consumer.seek(reader.partitions.get(step.get("partition").asInt()), step.get("offset").asLong());
      return ok();
    }

    private JsonNode rest(JsonNode step, boolean pause) {
      Reader reader = readers.get(step.get("reader").asText());
      TopicPartition partition = reader.partitions.get(step.get("partition").asInt());
      if (pause) {
        reader.paused.add(partition);
        reader.consumer.pause(List.of(partition));
      } else {
        reader.paused.remove(partition);
        reader.consumer.resume(List.of(partition));
      }
      return ok();
    }

    private JsonNode offsets(JsonNode step) throws Exception {
      JsonNode at = step.get("at");
      OffsetSpec spec = at.isObject() ? OffsetSpec.forTimestamp(at.get("timestamp").asLong())
          : at.asText().equals("earliest") ? OffsetSpec.earliest()
          : at.asText().equals("latest") ? OffsetSpec.latest() : OffsetSpec.maxTimestamp();
      IsolationLevel isolation = step.get("isolation").asText().equals("read_committed")
          ? IsolationLevel.READ_COMMITTED : IsolationLevel.READ_UNCOMMITTED;
      Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
      for (int partition = 0; partition < step.get("partitions").asInt(); partition++) {
        asked.put(new TopicPartition(prefix + step.get("topic").asText(), partition), spec);
      }
      ListOffsetsOptions options = new ListOffsetsOptions(isolation);
      options.timeoutMs(5_000);
      Map<TopicPartition, ListOffsetsResultInfo> found = admin.listOffsets(asked, options).all().get();
      ArrayNode answer = NODES.arrayNode();
      for (int partition = 0; partition < asked.size(); partition++) {
        ListOffsetsResultInfo info = found.get(new TopicPartition(prefix + step.get("topic").asText(), partition));
        ObjectNode one = answer.addObject();
        one.put("partition", partition);
        one.put("offset", info.offset());
        putTime(one, info.timestamp());
      }
      return answer;
    }

    // -------------------------------------------------------------------------------------------------- groups

    private JsonNode commitGroup(JsonNode step) throws Exception {
      Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
      for (JsonNode one : step.get("offsets")) {
        int epoch = one.get("leaderEpoch").asInt();
        offsets.put(partition(one), new OffsetAndMetadata(
            one.get("offset").asLong(), epoch < 0 ? Optional.empty() : Optional.of(epoch), one.get("metadata").asText()));
      }
      admin.alterConsumerGroupOffsets(prefix + step.get("group").asText(), offsets).all().get();
      return ok();
    }

    private JsonNode groupOffsets(JsonNode step) throws Exception {
      Map<TopicPartition, OffsetAndMetadata> found =
          admin.listConsumerGroupOffsets(prefix + step.get("group").asText()).partitionsToOffsetAndMetadata().get();
      Map<String, ObjectNode> sorted = new TreeMap<>();
      found.forEach((partition, offset) -> {
        ObjectNode one = NODES.objectNode();
        String topic = partition.topic().substring(prefix.length());
        one.put("topic", topic);
        one.put("partition", partition.partition());
        one.put("offset", offset.offset());
        one.put("metadata", offset.metadata());
        one.put("leaderEpoch", offset.leaderEpoch().orElse(-1));
        sorted.put(topic + "-" + partition.partition(), one);
      });
      ArrayNode answer = NODES.arrayNode();
      sorted.values().forEach(answer::add);
      return answer;
    }

    private TopicPartition partition(JsonNode place) {
      return new TopicPartition(prefix + place.get("topic").asText(), place.get("partition").asInt());
    }
  }

  // ---------------------------------------------------------------------------------------------------- answers

  /** All records when they are few, else their number, the first, the last and a digest of all. */
  private static void show(ObjectNode part, List<ConsumerRecord<byte[], byte[]>> records) throws Exception {
    if (records.size() <= RECORDS_SHOWN) {
      ArrayNode list = part.putArray("records");
      for (ConsumerRecord<byte[], byte[]> record : records) list.add(shown(record));
      return;
    }
    part.put("count", records.size());
    part.set("first", shown(records.get(0)));
    part.set("last", shown(records.get(records.size() - 1)));
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(all);
    for (ConsumerRecord<byte[], byte[]> record : records) {
      out.writeLong(record.offset());
      out.writeLong(record.timestampType() == TimestampType.LOG_APPEND_TIME ? -1 : record.timestamp());
      write(out, record.key());
      write(out, record.value());
      Header[] headers = record.headers().toArray();
      out.writeInt(headers.length);
      for (Header header : headers) {
        write(out, header.key().getBytes(StandardCharsets.UTF_8));
        write(out, header.value());
      }
    }
    part.put("digest", digest(all.toByteArray()));
  }

  private static void write(DataOutputStream out, byte[] bytes) throws Exception {
    out.writeInt(bytes == null ? -1 : bytes.length);
    if (bytes != null) out.write(bytes);
  }

  private static ObjectNode shown(ConsumerRecord<byte[], byte[]> record) throws Exception {
    ObjectNode one = NODES.objectNode();
    one.put("offset", record.offset());
    putTime(one, record.timestamp());
    if (record.timestampType() != TimestampType.CREATE_TIME) one.put("timestampType", record.timestampType().toString());
    one.put("key", shown(record.key()));
    one.put("value", shown(record.value()));
    Header[] headers = record.headers().toArray();
    if (headers.length > 0) {
      ArrayNode list = one.putArray("headers");
      for (Header header : headers) {
        list.addArray().add(shown(header.key().getBytes(StandardCharsets.UTF_8))).add(shown(header.value()));
      }
    }
    return one;
  }

  /** The time of the recording is not an answer. */
  private static void putTime(ObjectNode one, long timestamp) {
    if (Math.abs(System.currentTimeMillis() - timestamp) < DAY_MS) one.put("timestamp", "now");
    else one.put("timestamp", timestamp);
  }

  private static String shown(byte[] bytes) throws Exception {
    if (bytes == null) return null;
    if (bytes.length > BYTES_SHOWN) return bytes.length + " bytes " + digest(bytes);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException notText) {
      return "hex " + HexFormat.of().formatHex(bytes);
    }
  }

  private static String digest(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)).substring(0, 16);
  }

  private static byte[] bytes(JsonNode node) {
    if (node.isNull()) return null;
    if (node.isTextual()) return node.asText().getBytes(StandardCharsets.UTF_8);
    if (node.has("hex")) return HexFormat.of().parseHex(node.get("hex").asText());
    return node.get("repeat").asText().repeat(node.get("times").asInt()).getBytes(StandardCharsets.UTF_8);
  }

  private static JsonNode ok() {
    return NODES.textNode("ok");
  }

  private static JsonNode bug(String what) {
    return NODES.objectNode().put("bug", what);
  }

  /** The innermost error that Kafka has a name for. */
  private static JsonNode error(Throwable thrown) {
    String name = null;
    for (Throwable at = thrown; at != null; at = at.getCause()) {
      if (at instanceof InvalidOffsetException) name = "OFFSET_OUT_OF_RANGE";
      else if (at instanceof TimeoutException && String.valueOf(at.getMessage()).contains("not present in metadata")) {
        name = "UNKNOWN_TOPIC_OR_PARTITION";
      } else if (at instanceof ApiException) name = Errors.forException(at).name();
    }
    // Some answers are wrapped in an exception of no class of its own, which says only Kafka's sentence about the error.
    if (name == null && thrown instanceof KafkaException && thrown.getMessage() != null) {
      for (Errors one : Errors.values()) {
        if (one.message() != null && thrown.getMessage().endsWith(one.message())) name = one.name();
      }
    }
    if (name == null) {
      java.io.StringWriter trace = new java.io.StringWriter();
      thrown.printStackTrace(new java.io.PrintWriter(trace));
      return bug(trace.toString());
    }
    return NODES.objectNode().put("error", name);
  }

  private static Map<String, String> strings(JsonNode node) {
    Map<String, String> made = new HashMap<>();
    node.fields().forEachRemaining(field -> made.put(field.getKey(), field.getValue().asText()));
    return made;
  }
}
