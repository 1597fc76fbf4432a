// Record batches by Kafka's own Java code, for comparison with src/kafka/records.
//
//   java -cp 'LIB/*' GoldenBatches.java write DIR     writes the golden files of test/golden/records
//   java -cp 'LIB/*' GoldenBatches.java read FILE     prints every batch and record, checking checksums
//
// The records here and in src/kafka/records/golden-batches.test.ts are the same; LIB holds kafka-clients and the codecs.
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;

public class GoldenBatches {
  static final long T = 1_700_000_000_000L;

  interface Fill {
    void into(MemoryRecordsBuilder builder);
  }

  static byte[] utf8(String text) {
    return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
  }

  static void add(MemoryRecordsBuilder builder, long timestamp, String key, String value, Header... headers) {
    builder.append(timestamp, utf8(key), utf8(value), headers);
  }

  static void mixed(MemoryRecordsBuilder builder) {
    add(builder, T, "key", "value");
    add(builder, T + 5, null, "no key");
    add(builder, T - 70_000, "older", null);
    add(builder, T + 3_000_000_000L, "", "");
    add(builder, T + 1, null, null);
    add(builder, T + 2, "ключ", "värde 値 🚀");
    add(builder, T + 2, "h", "with headers",
        new RecordHeader("a", utf8("1")), new RecordHeader("a", null), new RecordHeader("名", new byte[] {0, -1, 127}));
    add(builder, T - 1_600_000_000_000L, "long", "x".repeat(200));
    add(builder, T + 64, "longer", "y".repeat(9000));
  }

  static void many(MemoryRecordsBuilder builder) {
    for (int i = 0; i < 3000; i++) {
      add(builder, T + (i * 37) % 1000, "k" + i % 100, "{\"id\":" + i + ",\"user\":\"user-" + i % 977 + "\"}");
    }
  }

  static void write(Path dir, String name, Compression compression, TimestampType type, long baseOffset, long producerId,
      int epoch, int sequence, boolean transactional, int leaderEpoch, Fill fill) throws Exception {
    ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
    MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, (byte) 2, compression, type, baseOffset, T + 999,
        producerId, (short) epoch, sequence, transactional, false, leaderEpoch);
    fill.into(builder);
    save(dir, name, builder.build().buffer());
  }

  static void save(Path dir, String name, ByteBuffer buffer) throws Exception {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    Files.write(dir.resolve(name + ".bin"), bytes);
  }

  static void write(Path dir) throws Exception {
    TimestampType create = TimestampType.CREATE_TIME;
    Compression none = Compression.NONE;
    write(dir, "mixed", none, create, 0, -1, -1, -1, false, -1, GoldenBatches::mixed);
    write(dir, "many", none, create, 0, -1, -1, -1, false, -1, GoldenBatches::many);
    write(dir, "idempotent", none, create, 0, 4242, 7, 123, false, -1, GoldenBatches::mixed);
    write(dir, "transactional", none, create, 0, 1L << 40, 32767, 2147483647, true, -1, GoldenBatches::mixed);
    write(dir, "log-append-time", none, TimestampType.LOG_APPEND_TIME, 5_000_000_000L, -1, -1, -1, false, 9,
        GoldenBatches::mixed);
    write(dir, "gzip", Compression.gzip().build(), create, 0, -1, -1, -1, false, -1, GoldenBatches::many);
    write(dir, "snappy", Compression.snappy().build(), create, 0, -1, -1, -1, false, -1, GoldenBatches::many);
    write(dir, "lz4", Compression.lz4().build(), create, 0, -1, -1, -1, false, -1, GoldenBatches::many);
    write(dir, "zstd", Compression.zstd().build(), create, 0, -1, -1, -1, false, -1, GoldenBatches::many);
    save(dir, "commit", MemoryRecords.withEndTransactionMarker(
        77, T, 3, 4242, (short) 7, new EndTransactionMarker(ControlRecordType.COMMIT, 11)).buffer());
    save(dir, "abort", MemoryRecords.withEndTransactionMarker(
        78, T, 3, 4242, (short) 7, new EndTransactionMarker(ControlRecordType.ABORT, 11)).buffer());
  }

  static String hex(ByteBuffer bytes) {
    if (bytes == null) return "null";
    byte[] copy = new byte[bytes.remaining()];
    bytes.duplicate().get(copy);
    return HexFormat.of().formatHex(copy);
  }

  static void read(Path file) throws Exception {
    PrintStream out = new PrintStream(
        new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)), false, StandardCharsets.UTF_8);
    for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file))).batches()) {
      batch.ensureValid();
      out.println("batch " + batch.baseOffset() + " " + batch.lastOffset() + " " + batch.producerId() + " "
          + batch.producerEpoch() + " " + batch.baseSequence() + " " + batch.isTransactional() + " "
          + batch.compressionType().name + " " + batch.maxTimestamp());
      for (Record record : batch) {
        record.ensureValid();
        StringBuilder line = new StringBuilder("record " + record.offset() + " " + record.timestamp() + " "
            + hex(record.key()) + " " + hex(record.value()));
        for (Header header : record.headers()) {
          line.append(" ").append(header.key()).append("=")
              .append(header.value() == null ? "null" : HexFormat.of().formatHex(header.value()));
        }
        out.println(line);
      }
    }
    out.flush();
  }

  public static void main(String[] args) throws Exception {
    if (args[0].equals("write")) write(Path.of(args[1]));
    else read(Path.of(args[1]));
  }
}
