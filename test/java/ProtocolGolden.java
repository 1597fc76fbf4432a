/*
 * The bytes Kafka itself makes of a message. Reads one JSON object a line: class, version, kind and value in the form
 * of Kafka's JSON converters ("unset" as kind stands for a message nobody set a field of); writes one line of base64
 * for each. Before that it reads the bytes back and compares, so that a sample Kafka would not accept stops everything.
 */
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

public class ProtocolGolden {
    private static final String PACKAGE = "org.apache.kafka.common.message.";

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        ObjectMapper mapper = new ObjectMapper();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode request = mapper.readTree(line);
            try {
                out.println(Base64.getEncoder().encodeToString(serialise(request)));
            } catch (Exception e) {
                throw new IllegalStateException(line, e);
            }
        }
        out.flush();
    }

    private static byte[] serialise(JsonNode request) throws Exception {
        Class<?> type = Class.forName(PACKAGE + request.get("class").asText());
        short version = (short) request.get("version").asInt();
        Message message;
        if (request.get("kind").asText().equals("unset")) {
            message = (Message) type.getConstructor().newInstance();
        } else {
            message = (Message) Class.forName(type.getName() + "JsonConverter")
                .getMethod("read", JsonNode.class, short.class)
                .invoke(null, request.get("value"), version);
        }
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        Message copy = (Message) type.getConstructor().newInstance();
        copy.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version);
        if (!copy.equals(message)) {
            throw new IllegalStateException("read back differently: " + copy);
        }
        return bytes;
    }
}
