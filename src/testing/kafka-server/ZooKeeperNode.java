// A broker of a Kafka that keeps its cluster in ZooKeeper, with the ZooKeeper in the same process.
//
//   ZooKeeperNode node SERVER_PROPERTIES
//
// Why it exists: the oldest brokers a client is tried on know no other way, and a ZooKeeper in a process of its own would be
// one more thing to start, to watch and to end. The node whose properties name a port in `embedded.zookeeper.port` runs it. What
// always holds: the process ends when its standard input does, as with KafkaTools.

import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Properties;
import org.apache.zookeeper.server.NIOServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

public final class ZooKeeperNode {
  private static final int TICK_MS = 500;
  private static final int CONNECTIONS_MAX = 100;

  public static void main(String[] args) throws Exception {
    Thread guard = new Thread(ZooKeeperNode::haltAtEndOfInput, "parent-guard");
    guard.setDaemon(true);
    guard.start();
    Properties server = new Properties();
    try (InputStream in = Files.newInputStream(Paths.get(args[1]))) {
      server.load(in);
    }
    String port = server.getProperty("embedded.zookeeper.port");
    if (port != null) {
      Path data = Files.createDirectories(Paths.get(server.getProperty("log.dirs") + "-zookeeper"));
      NIOServerCnxnFactory door = new NIOServerCnxnFactory();
      door.configure(new InetSocketAddress("127.0.0.1", Integer.parseInt(port)), CONNECTIONS_MAX);
      door.startup(new ZooKeeperServer(data.toFile(), data.toFile(), TICK_MS));
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
}
