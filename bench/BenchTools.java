import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Everything of a measurement that is not the measured job: inputs, topics, the check of the output, the load and the clock
 * of the latency runs. It is Java, with Kafka's own clients, so that the job's client is not checked by itself and every
 * system is measured by the same instrument. One request as JSON on a line of standard input, one answer on a line of
 * standard output.
 */
public final class BenchTools {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ObjectReader EVENTS = JSON.readerFor(Event.class);
    private static final long FIRST_TIME = 1_700_000_000_000L;
    private static final int PARTITIONS = 4;
    private final String bootstrap;
    private final Admin admin;

    private BenchTools(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] args) throws Exception {
        BenchTools tools = new BenchTools(args[0]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                tools.answer(JSON.readTree(line), answer);
            } catch (Exception e) {
                answer.put("error", e.toString());
            }
            System.out.println(answer);
        }
        Runtime.getRuntime().halt(0);
    }

    private void answer(JsonNode q, ObjectNode a) throws Exception {
        switch (q.get("op").asText()) {
            case "create" -> create(q.get("topic").asText());
            case "delete" -> admin.deleteTopics(List.of(q.get("topic").asText())).all().get();
            case "count" -> a.put("records", total(ends(q.get("topic").asText(), "read_uncommitted")));
            case "fill" -> fill(q.get("topic").asText(), q.get("records").asInt(), a);
            case "verify" -> verify(q.get("in").asText(), q.get("out").asText(), a);
            case "latency" -> new Latency(q, a).run();
            default -> throw new IllegalArgumentException(q.toString());
        }
    }

    /** No retention: the records carry times of 2023 and would be deleted as too old. */
    private void create(String topic) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1).configs(Map.of("retention.ms", "-1")))).all().get();
    }

    // ---- inputs

    /** Record number n of every input; SplittableRandom(42) makes the same bytes on every machine. */
    private static String value(long n, SplittableRandom random, StringBuilder text) {
        int type = random.nextInt(10), cents = random.nextInt(100, 10_000), user = random.nextInt(10_000), more = random.nextInt(0, 8);
        text.setLength(0);
        text.append("{\"id\":").append(n).append(",\"user\":\"u").append(user).append("\",\"type\":\"")
            .append(type == 0 ? "noise" : type < 6 ? "view" : type < 9 ? "click" : "buy")
            .append("\",\"ts\":").append(FIRST_TIME + n).append(",\"amount\":").append(cents / 100).append('.')
            .append(cents / 10 % 10).append(cents % 10).append(",\"pad\":\"");
        while (text.length() < 109 + more) text.append((char) ('a' + random.nextInt(26)));
        return text.append("\"}").toString();
    }

    private void fill(String topic, int records, ObjectNode a) throws Exception {
        boolean there = admin.listTopics().names().get().contains(topic);
        a.put("made", !there);
        if (there) {
            long found = total(ends(topic, "read_uncommitted"));
            if (found != records) throw new IllegalStateException(topic + " holds " + found + " records, not " + records + ": delete it");
            return;
        }
        create(topic);
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "compression.type", "none", "acks", "all",
            "batch.size", 65_536, "linger.ms", 50, "buffer.memory", 128L << 20);
        Exception[] failure = {null};
        try (var out = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            SplittableRandom random = new SplittableRandom(42);
            StringBuilder text = new StringBuilder();
            for (long n = 0; n < records && failure[0] == null; n++) {
                String value = value(n, random, text);
                int user = value.indexOf("\"user\":\"") + 8;
                byte[] key = value.substring(user, value.indexOf('"', user)).getBytes(StandardCharsets.UTF_8);
                out.send(new ProducerRecord<>(topic, null, FIRST_TIME + n, key, value.getBytes(StandardCharsets.UTF_8)),
                    (m, e) -> { if (e != null) failure[0] = e; });
            }
        }
        if (failure[0] != null) throw failure[0];
    }

    // ---- the check of a copy

    /** The fields of an input record, and the fee of an output record; a field that is none of these is an error. */
    public static final class Event {
        public long id = -1, ts;
        public String user, type, pad;
        public double amount, fee = Double.NaN;

        /** Of everything that a copy must keep; never 0. */
        long fingerprint(ConsumerRecord<byte[], byte[]> record) {
            long h = mix(mix(mix(0x9E3779B97F4A7C15L, id), ts), Double.doubleToLongBits(amount));
            h = mix(mix(mix(h, user), type), pad);
            h = mix(h, record.key() == null ? "null" : new String(record.key(), StandardCharsets.UTF_8));
            return mix(mix(h, record.timestamp()), record.partition()) | 1;
        }
        private static long mix(long h, long v) { h = (h ^ v) * 0xBF58476D1CE4E5B9L; return h ^ h >>> 29; }
        private static long mix(long h, String s) {
            if (s == null) return mix(h, -1);
            for (int i = 0; i < s.length(); i++) h = (h ^ s.charAt(i)) * 0x100000001B3L;
            return mix(h, s.length());
        }
    }

    /**
     * Each input record but the noise must stand in the committed output exactly once, with the same key, partition, time and
     * fields and the right fee, in the order of the input for each key, and nothing else may; no transaction may be open.
     */
    private void verify(String in, String out, ObjectNode a) throws Exception {
        Map<TopicPartition, Long> ends = ends(out, "read_committed");
        boolean open = !ends.equals(ends(out, "read_uncommitted"));
        long[] want = new long[(int) total(ends(in, "read_uncommitted"))];
        long expected = 0, found = 0, wrong = 0, again = 0, disorder = 0;
        try (Reader r = new Reader(in, "read_uncommitted", ends(in, "read_uncommitted"))) {
            for (ConsumerRecord<byte[], byte[]> record; (record = r.next()) != null; ) {
                Event e = EVENTS.readValue(record.value());
                if (e.type.equals("noise")) continue;
                want[(int) e.id] = e.fingerprint(record);
                expected++;
            }
        }
        BitSet met = new BitSet(want.length);
        Map<String, Long> last = new HashMap<>();
        String example = null;
        try (Reader r = new Reader(out, "read_committed", ends)) {
            for (ConsumerRecord<byte[], byte[]> record; (record = r.next()) != null; ) {
                found++;
                Event e;
                try { e = EVENTS.readValue(record.value()); } catch (Exception x) { e = new Event(); }
                boolean right = e.id >= 0 && e.id < want.length && e.fee == e.amount * 0.01 && want[(int) e.id] == e.fingerprint(record);
                if (!right) { wrong++; if (example == null) example = record.toString() + " " + new String(record.value(), StandardCharsets.UTF_8); continue; }
                if (met.get((int) e.id)) again++;
                met.set((int) e.id);
                Long before = last.put(e.user, e.id);
                if (before != null && before >= e.id) disorder++;
            }
        }
        a.put("out_records", found).put("expected", expected).put("wrong", wrong).put("repeated", again).put("out_of_order", disorder)
            .put("missing", expected - met.cardinality()).put("open_transaction", open);
        if (example != null) a.put("example", example);
        a.put("verified", !open && wrong == 0 && again == 0 && disorder == 0 && found == expected && met.cardinality() == expected);
    }

    private KafkaConsumer<byte[], byte[]> consumer(String isolation) {
        return new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "isolation.level", isolation, "enable.auto.commit", false,
            "max.poll.records", 8192, "max.partition.fetch.bytes", 4 << 20), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private Map<TopicPartition, Long> ends(String topic, String isolation) {
        try (var c = consumer(isolation)) {
            return c.endOffsets(c.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList());
        }
    }

    private static long total(Map<TopicPartition, Long> ends) { return ends.values().stream().mapToLong(x -> x).sum(); }

    /** A topic from its beginning to given ends; gives up when nothing comes for 30 s. */
    private final class Reader implements AutoCloseable {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final Map<TopicPartition, Long> ends;
        private Iterator<ConsumerRecord<byte[], byte[]>> some = Collections.emptyIterator();

        Reader(String topic, String isolation, Map<TopicPartition, Long> ends) {
            this.ends = ends;
            consumer = consumer(isolation);
            consumer.assign(ends.keySet());
            consumer.seekToBeginning(ends.keySet());
        }
        ConsumerRecord<byte[], byte[]> next() {
            long deadline = System.nanoTime() + 30_000_000_000L;
            while (!some.hasNext()) {
                if (ends.entrySet().stream().allMatch(e -> consumer.position(e.getKey()) >= e.getValue())) return null;
                if (System.nanoTime() > deadline) throw new IllegalStateException("nothing came for 30 s, the ends are " + ends);
                some = consumer.poll(Duration.ofMillis(100)).iterator();
            }
            return some.next();
        }
        @Override public void close() { consumer.close(); }
    }

    // ---- latency

    /**
     * Sends at a fixed rate and reads the output. Measured are the records sent in `seconds`, from `warmup` seconds behind the
     * first output on; the time of sending, in microseconds, is the field ts.
     */
    private final class Latency {
        final String in, out;
        final long pid, rate, warmupUs, measuredUs;
        final boolean exactlyOnce;
        final ObjectNode answer;
        long from = Long.MAX_VALUE, to = Long.MAX_VALUE, sent; // guarded by this
        volatile Exception failure;

        Latency(JsonNode q, ObjectNode a) {
            in = q.get("in").asText(); out = q.get("out").asText(); pid = q.get("pid").asLong(); rate = q.get("rate").asLong();
            warmupUs = q.get("warmup").asLong() * 1_000_000; measuredUs = q.get("seconds").asLong() * 1_000_000;
            exactlyOnce = q.get("exactly_once").asBoolean(); answer = a;
        }

        void run() throws Exception {
            Thread pacer = new Thread(this::send);
            pacer.setDaemon(true);
            pacer.start();
            List<Long> took = new ArrayList<>();
            BitSet met = new BitSet();
            long repeated = 0, deadline = micros() + 60_000_000;
            double cpuFrom = -1, cpuTo = -1;
            try (var c = consumer(exactlyOnce ? "read_committed" : "read_uncommitted")) {
                var partitions = c.partitionsFor(out).stream().map(p -> new TopicPartition(out, p.partition())).toList();
                c.assign(partitions);
                c.seekToBeginning(partitions);
                while (micros() < deadline) {
                    if (failure != null) throw failure;
                    if (!Files.exists(Path.of("/proc/" + pid))) throw new IllegalStateException("the job ended");
                    for (var record : c.poll(Duration.ofMillis(20))) {
                        long now = micros();
                        Event e = EVENTS.readValue(record.value());
                        deadline = begin(now, deadline);
                        if (met.get((int) e.id)) repeated++;
                        met.set((int) e.id);
                        if (e.ts >= from && e.ts < to) took.add(now - e.ts);
                    }
                    long now = micros();
                    if (cpuFrom < 0 && now >= from) cpuFrom = cpu();
                    if (cpuTo < 0 && now >= to) cpuTo = cpu();
                    if (cpuTo >= 0 && !pacer.isAlive() && took.size() >= sent) break;
                }
            }
            pacer.join(5_000);
            report(took, repeated, cpuTo - cpuFrom);
        }

        private synchronized long begin(long now, long deadline) {
            if (from != Long.MAX_VALUE) return deadline;
            from = now + warmupUs;
            to = from + measuredUs;
            return to + 10_000_000;
        }

        private void send() {
            try (var out = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap, "linger.ms", 0), new ByteArraySerializer(), new ByteArraySerializer())) {
                long start = System.nanoTime();
                for (long n = 0; ; ) {
                    for (long due = (System.nanoTime() - start) * rate / 1_000_000_000L; n < due; n++) {
                        long now = micros();
                        synchronized (this) {
                            if (now >= to) return;
                            if (now >= from) sent++;
                        }
                        String user = "u" + n * 7919 % 10_000;
                        String value = "{\"id\":" + n + ",\"user\":\"" + user + "\",\"type\":\"view\",\"ts\":" + now + ",\"amount\":12.34,\"pad\":\"abcdefghijklmnopqrstuvwxyzabcd\"}";
                        out.send(new ProducerRecord<>(in, user.getBytes(StandardCharsets.UTF_8), value.getBytes(StandardCharsets.UTF_8)));
                    }
                    LockSupport.parkNanos(500_000);
                }
            } catch (Exception e) {
                failure = e;
            }
        }

        private void report(List<Long> took, long repeated, double cpu) {
            answer.put("records", sent).put("rate", rate).put("received", took.size()).put("duplicates", repeated);
            Collections.sort(took);
            String[] names = {"p50_ms", "p90_ms", "p99_ms", "p99.9_ms", "max_ms"};
            double[] quantiles = {0.5, 0.9, 0.99, 0.999, 1};
            for (int i = 0; i < names.length && !took.isEmpty(); i++)
                answer.put(names[i], took.get((int) Math.min(took.size() - 1, took.size() * quantiles[i])) / 1000.0);
            answer.put("cpu_s_in_" + measuredUs / 1_000_000 + "s", Math.round(cpu * 100) / 100.0);
            answer.put("verified", sent > 0 && took.size() == sent && (!exactlyOnce || repeated == 0));
        }

        /** user + system seconds of the job's process, in Linux's hundredths. */
        private double cpu() throws Exception {
            String s = Files.readString(Path.of("/proc/" + pid + "/stat"));
            String[] f = s.substring(s.lastIndexOf(')') + 2).split(" ");
            return (Long.parseLong(f[11]) + Long.parseLong(f[12])) / 100.0;
        }

        private static long micros() { Instant i = Instant.now(); return i.getEpochSecond() * 1_000_000 + i.getNano() / 1000; }
    }
}
