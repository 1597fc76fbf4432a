// Apache Flink's own Kafka connector at exactly-once: copies a bounded topic in a Flink that runs in this JVM, with a failure in
// the middle that makes it go back to its last checkpoint. Arguments: BOOTSTRAP INPUT OUTPUT PREFIX CHECKPOINT_FOLDER FAIL_AT
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

public class FlinkCopy {
  static final AtomicInteger mapped = new AtomicInteger();

  public static class SlowAndFailingOnce implements MapFunction<String, String> {
    private final int failAt;

    SlowAndFailingOnce(int failAt) {
      this.failAt = failAt;
    }

    @Override
    public String map(String value) throws Exception {
      Thread.sleep(1);
      if (mapped.incrementAndGet() == failAt) {
        throw new IllegalStateException("the failure that was asked for");
      }
      return value + " copied";
    }
  }

  public static void main(String[] args) throws Exception {
    Configuration settings = new Configuration();
    settings.setString("execution.checkpointing.interval", "200 ms");
    settings.setString("execution.checkpointing.dir", "file://" + args[4]);
    settings.setString("restart-strategy.type", "fixed-delay");
    settings.setString("restart-strategy.fixed-delay.attempts", "3");
    settings.setString("restart-strategy.fixed-delay.delay", "100 ms");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2, settings);
    KafkaSource<String> source = KafkaSource.<String>builder()
        .setBootstrapServers(args[0])
        .setTopics(args[1])
        .setGroupId("flink-copy")
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.latest())
        .setValueOnlyDeserializer(new SimpleStringSchema())
        .build();
    KafkaSink<String> sink = KafkaSink.<String>builder()
        .setBootstrapServers(args[0])
        .setRecordSerializer(KafkaRecordSerializationSchema.<String>builder()
            .setTopic(args[2])
            .setValueSerializationSchema(new SimpleStringSchema())
            .build())
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(args[3])
        .setProperty("transaction.timeout.ms", "600000")
        .build();
    env.fromSource(source, WatermarkStrategy.noWatermarks(), "in")
        .map(new SlowAndFailingOnce(Integer.parseInt(args[5])))
        .sinkTo(sink);
    JobExecutionResult result = env.execute("copy");
    System.out.println("finished " + result.getJobID() + " after " + mapped.get() + " records mapped");
    System.exit(0);
  }
}
