// SPDX-License-Identifier: Apache-2.0
/**
 * KafkaTls PORT CERTIFICATE: a fixed series of requests by Kafka's own client over TLS, when "go" is read. Prints {"what","ns","error"} for each step: a topic, 23 messages of one each, of which 7 are larger than the topic takes, and a
 * reader of the others, which then waits in vain for 503 ms.
 */

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class KafkaTls {
	private static Map<String, Object> client(String[] args, String id) {
		Map<String, Object> o = new HashMap<>();

		o.put("bootstrap.servers", "127.0.0.1:" + args[0]);
		o.put("client.id", id);
		o.put("security.protocol", "SSL");
		o.put("ssl.truststore.type", "PEM");
		o.put("ssl.truststore.location", args[1]);
		o.put("ssl.endpoint.identification.algorithm", "");
		return o;
	}

	private interface Action {
		void run() throws Exception;
	}

	private static void timed(String what, Action a) throws Exception {
		long begin = System.nanoTime();
		String error = "";

		try {
			a.run();
		} catch (ExecutionException e) {
			error = e.getCause().getClass().getSimpleName();
		}
		System.out.println("{\"what\": \"" + what + "\", \"ns\": " + (System.nanoTime() - begin) + ", \"error\": \"" + error + "\"}");
	}

	private static void read(String[] args) {
		Map<String, Object> o = client(args, "reader");

		o.put("fetch.max.wait.ms", 503);
		o.put("enable.auto.commit", false);
		try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(o, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
			TopicPartition p = new TopicPartition("orders", 0);
			c.assign(Collections.singletonList(p));
			c.seekToBeginning(Collections.singletonList(p));
			int got = 0;
			for (long until = System.nanoTime() + 60_000_000_000L; got < 16 && System.nanoTime() < until;)
				got += c.poll(Duration.ofSeconds(1)).count();
			if (got != 16 || c.poll(Duration.ofMillis(1201)).count() != 0)
				throw new IllegalStateException("read " + got);
		}
	}

	public static void main(String[] args) throws Exception {
		System.err.println("ready");
		if (!"go".equals(new BufferedReader(new InputStreamReader(System.in)).readLine()))
			return;
		try (Admin admin = Admin.create(client(args, "admin"))) {
			NewTopic topic = new NewTopic("orders", 1, (short) 1).configs(Collections.singletonMap("max.message.bytes", "1009"));
			timed("create", () -> admin.createTopics(Collections.singletonList(topic)).all().get());
		}
		Map<String, Object> o = client(args, "shop");
		o.put("acks", "all");
		o.put("enable.idempotence", false);
		try (KafkaProducer<byte[], byte[]> p = new KafkaProducer<>(o, new ByteArraySerializer(), new ByteArraySerializer())) {
			for (int i = 0; i < 23; i++) {
				byte[] value = new byte[i % 3 == 1 && i < 21 ? 3001 : 101];
				timed("send", () -> p.send(new ProducerRecord<>("orders", 0, null, value)).get());
			}
		}
		timed("read", () -> read(args));
	}
}
