// SPDX-License-Identifier: Apache-2.0

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Makes a fixed series of RocketMQ's requests: RocketmqDriver NAMESRV_PORT [TOPIC] < "go". Prints {"what","ns","error"} for each step. */
public class RocketmqDriver {
	interface Step {
		void run() throws Exception;
	}

	static final PrintStream out = System.out;

	static void timed(String what, Step step) throws Exception {
		String error = "";
		long start = System.nanoTime();
		try {
			step.run();
		} catch (MQBrokerException e) {
			error = String.valueOf(e.getResponseCode());
		}
		out.printf("{\"what\":\"%s\",\"ns\":%d,\"error\":\"%s\"}%n", what, System.nanoTime() - start, error);
	}

	static Message message(String topic, int i, int bytes) {
		StringBuilder body = new StringBuilder("secret ");
		while (body.length() < bytes)
			body.append('s');
		Message m = new Message(topic, "spring", "secret-key", body.toString().getBytes(StandardCharsets.UTF_8));
		m.putUserProperty("traceparent", String.format("00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033%02x-01", i));
		m.putUserProperty("customer", "secret \"quoted\" \\ é");
		return m;
	}

	static DefaultMQProducer producer(DefaultMQProducer p, String namesrv) throws Exception {
		p.setNamesrvAddr(namesrv);
		p.setRetryTimesWhenSendFailed(0);
		p.setRetryTimesWhenSendAsyncFailed(0);
		p.setMaxMessageSize(1 << 20);
		p.setCompressMsgBodyOverHowmuch(1 << 20);
		p.setVipChannelEnabled(false);
		p.setPollNameServerInterval(3600_000);
		p.setHeartbeatBrokerInterval(3600_000);
		p.start();
		return p;
	}

	static void ahead(DefaultMQProducer p, MessageQueue queue, int n) throws Exception {
		CountDownLatch left = new CountDownLatch(n);
		for (int i = 0; i < n; i++)
			p.send(message(queue.getTopic(), i, 20), queue, new SendCallback() {
				@Override
				public void onSuccess(SendResult r) {
					left.countDown();
				}

				@Override
				public void onException(Throwable e) {
					e.printStackTrace();
				}
			});
		if (!left.await(60, TimeUnit.SECONDS))
			throw new IllegalStateException("sends are not answered");
	}

	static void pulls(String namesrv, MessageQueue queue) throws Exception {
		DefaultMQPullConsumer c = new DefaultMQPullConsumer("billing");
		c.setNamesrvAddr(namesrv);
		c.setVipChannelEnabled(false);
		c.setPollNameServerInterval(3600_000);
		c.setHeartbeatBrokerInterval(3600_000);
		c.setPersistConsumerOffsetInterval(3600_000);
		c.setBrokerSuspendMaxTimeMillis(1000);
		c.start();
		long[] at = { 0 };
		List<MessageExt> got = new ArrayList<>();
		while (got.size() < 80)
			timed("pull", () -> {
				PullResult r = c.pull(queue, "*", at[0], 7);
				at[0] = r.getNextBeginOffset();
				got.addAll(r.getMsgFoundList());
			});
		timed("pull nothing", () -> c.pull(queue, "*", at[0], 7));
		timed("pull beyond", () -> c.pull(queue, "*", at[0] + 1000, 7));
		timed("wait", () -> c.pullBlockIfNotFound(queue, "*", at[0], 7));
		c.shutdown();
	}

	static void transactions(String namesrv, String topic) throws Exception {
		CountDownLatch checked = new CountDownLatch(1);
		TransactionMQProducer t = new TransactionMQProducer("bookings");
		t.setTransactionListener(new TransactionListener() {
			@Override
			public LocalTransactionState executeLocalTransaction(Message m, Object unknown) {
				return unknown == null ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.UNKNOW;
			}

			@Override
			public LocalTransactionState checkLocalTransaction(MessageExt m) {
				checked.countDown();
				return LocalTransactionState.ROLLBACK_MESSAGE;
			}
		});
		producer(t, namesrv);
		for (int i = 0; i < 3; i++)
			timed("transaction", () -> t.sendMessageInTransaction(message(topic, 0, 20), null));
		timed("transaction", () -> t.sendMessageInTransaction(message(topic, 0, 20), "unknown"));
		if (!checked.await(60, TimeUnit.SECONDS))
			throw new IllegalStateException("the broker does not ask");
		t.shutdown();
	}

	public static void main(String[] args) throws Exception {
		System.setOut(System.err); // the library logs
		String namesrv = "127.0.0.1:" + args[0], topic = args.length > 1 ? args[1] : "orders";
		Scanner in = new Scanner(System.in);
		String line = in.nextLine();
		DefaultMQProducer p = null;
		if (line.equals("ready")) { // an old connection
			p = producer(new DefaultMQProducer("shop"), namesrv);
			p.send(message(topic, 0, 20), new MessageQueue(topic, "b", 0));
			System.err.println("ready");
			line = in.nextLine();
		}
		if (!line.equals("go"))
			throw new IllegalStateException("no line \"go\"");
		MessageQueue queue = new MessageQueue(topic, "b", 2);
		DefaultMQProducer q = p != null ? p : producer(new DefaultMQProducer("shop"), namesrv);
		for (int i = 0; i < 11; i++) {
			int n = i;
			timed("one", () -> q.send(message(topic, n, 20), queue));
		}
		List<Message> batch = new ArrayList<>();
		for (int i = 0; i < 13; i++)
			batch.add(message(topic, i, 100));
		timed("batch", () -> q.send(batch, queue));
		for (int i = 0; i < 3; i++)
			timed("too large", () -> q.send(message(topic, 0, 100_000), queue));
		timed("large", () -> q.send(message(topic, 0, 50_000), queue));
		for (int i = 0; i < 2; i++)
			timed("oneway", () -> q.sendOneway(message(topic, 0, 20), queue));
		timed("ahead", () -> ahead(q, queue, 53));
		Message later = message("later", 0, 20);
		later.setDelayTimeLevel(2);
		timed("later", () -> q.send(later, new MessageQueue("later", "b", 1)));
		if (p == null) {
			pulls(namesrv, queue);
			transactions(namesrv, "trades");
		}
		q.shutdown();
		System.exit(0);
	}
}
