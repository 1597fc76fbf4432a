/*
 * Says what Flink makes of keys: each line of the input is `bytes in hexadecimal, maximum parallelism, parallelism`, each line of
 * the output the key group and the subtask of a key that hashes as Java hashes these bytes. A test compares and keeps the answers.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;

public class KeyGroups {
    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.trim().split(" ");
            byte[] bytes = HexFormat.of().parseHex(parts[0]);
            int maxParallelism = Integer.parseInt(parts[1]);
            int parallelism = Integer.parseInt(parts[2]);
            int group = KeyGroupRangeAssignment.computeKeyGroupForKeyHash(Arrays.hashCode(bytes), maxParallelism);
            int subtask = KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup(maxParallelism, parallelism, group);
            System.out.println(group + " " + subtask);
        }
    }
}
