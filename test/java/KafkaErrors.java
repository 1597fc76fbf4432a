/*
 * Prints Kafka's error codes, one a line, tab-separated: code, name, whether the exception behind it is retriable, and
 * whether it says that the client's metadata is stale. scripts/generate-protocol.ts makes a table of it.
 */
import java.util.Arrays;
import java.util.Comparator;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

public class KafkaErrors {
    public static void main(String[] args) {
        Errors[] all = Errors.values();
        Arrays.sort(all, Comparator.comparingInt(Errors::code));
        for (Errors error : all) {
            Exception exception = error.exception();
            boolean retriable = exception instanceof RetriableException;
            boolean stale = exception instanceof InvalidMetadataException;
            System.out.println(error.code() + "\t" + error.name() + "\t" + retriable + "\t" + stale);
        }
    }
}
