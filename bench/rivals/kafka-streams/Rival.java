import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The six steps of DIGIT's pipeline on Kafka Streams: BROKERS PREFIX FOLDER.
 *
 * <p>DIGIT runs each step as an application of its own, at least once, with a topic between each two. Here all of them
 * are one topology with a single topic between, exactly once, with dedup by event and a store in memory: the fastest that
 * does the same as the two hops that it is measured against.
 */
public final class Rival {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final ObjectReader READER = MAPPER.reader();
    private static final ObjectWriter WRITER = MAPPER.writer();
    private static final DateTimeFormatter TIMESTAMP =
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
    private static final String[] BATCH = {"id", "ver", "ets", "events"};
    private static final String[] EVENT = {"eid", "ets", "ver", "mid", "actor", "context", "edata"};

    private Rival() {}

    public static void main(String[] arguments) throws InterruptedException {
        String prefix = arguments[1];
        KafkaStreams streams = new KafkaStreams(topology(prefix), settings(arguments[0], prefix, arguments[2]));
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        Thread.currentThread().join();
    }

    private static Properties settings(String brokers, String prefix, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "rival");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.getInteger("threads", 2));
        // Ten times the default of exactly_once_v2: fewer transactions, and later results.
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Integer.getInteger("commit", 1000));
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128 * 1024 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.MAX_REQUEST_SIZE_CONFIG), 6 * 1024 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG), 600_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 2000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_BYTES_CONFIG), 50 * 1024 * 1024);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 * 1024 * 1024);
        // It is stopped between its turns.
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 1_200_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG), 1_200_000);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5000);
        return settings;
    }

    private static Topology topology(String prefix) {
        ByteArrayDeserializer read = new ByteArrayDeserializer();
        ByteArraySerializer write = new ByteArraySerializer();
        Topology topology = new Topology();
        topology.addSource("raw", read, read, prefix + "telemetry.raw");
        topology.addProcessor("unbundle", Unbundle::new, "raw");
        topology.addSink("to events", prefix + "telemetry.events", write, write, "unbundle");
        topology.addSource("events", read, read, prefix + "telemetry.events");
        topology.addProcessor("refine", Refine::new, "events");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("seen"), Serdes.Bytes(), Serdes.ByteArray()), "refine");
        topology.addSink("to unique", prefix + "telemetry.unique", write, write, "refine");
        topology.addSink("to duplicate", prefix + "telemetry.duplicate", write, write, "refine");
        topology.addSink("to failed", prefix + "telemetry.failed", write, write, "unbundle", "refine");
        return topology;
    }

    private static boolean has(JsonNode node, String[] names) {
        if (node == null || !node.isObject()) {
            return false;
        }
        for (String name : names) {
            if (!node.has(name)) {
                return false;
            }
        }
        return true;
    }

    private static byte[] device(JsonNode event) {
        return event.path("context").path("did").asText("").getBytes(StandardCharsets.UTF_8);
    }

    /** Steps 1 and 2: the format of the batch, and one message for each event. */
    private static final class Unbundle implements Processor<byte[], byte[], byte[], byte[]> {
        private ProcessorContext<byte[], byte[]> context;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            JsonNode batch = null;
            try {
                batch = READER.readTree(record.value());
            } catch (IOException error) {
                // It has failed, as below.
            }
            if (!has(batch, BATCH) || !batch.get("events").isArray()) {
                context.forward(record, "to failed");
                return;
            }
            for (JsonNode event : batch.get("events")) {
                try {
                    context.forward(record.withKey(device(event)).withValue(WRITER.writeValueAsBytes(event)), "to events");
                } catch (IOException error) {
                    throw new IllegalStateException(error);
                }
            }
        }
    }

    /** Steps 3 to 6: the format of the event, dedup, what is added, and where it goes. */
    private static final class Refine implements Processor<byte[], byte[], byte[], byte[]> {
        private static final byte[] SEEN = {1};
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Bytes, byte[]> seen;
        private MessageDigest digest;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            this.seen = context.getStateStore("seen");
            try {
                this.digest = MessageDigest.getInstance("SHA-256");
            } catch (NoSuchAlgorithmException error) {
                throw new IllegalStateException(error);
            }
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            JsonNode event = null;
            try {
                event = READER.readTree(record.value());
            } catch (IOException error) {
                // It has failed, as below.
            }
            if (!has(event, EVENT) || !event.get("ets").isNumber()) {
                context.forward(record, "to failed");
                return;
            }
            digest.update(event.get("mid").asText().getBytes(StandardCharsets.UTF_8));
            Bytes key = Bytes.wrap(Arrays.copyOf(digest.digest(record.key()), 16));
            if (seen.putIfAbsent(key, SEEN) != null) {
                context.forward(record, "to duplicate");
                return;
            }
            ObjectNode refined = (ObjectNode) event;
            refined.put("@timestamp", TIMESTAMP.format(Instant.ofEpochMilli(event.get("ets").asLong())));
            Header taken = record.headers().lastHeader("syncts");
            refined.put("syncts", taken == null ? record.timestamp() : Long.parseLong(new String(taken.value(), StandardCharsets.US_ASCII)));
            try {
                context.forward(record.withValue(WRITER.writeValueAsBytes(refined)), "to unique");
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }
}
