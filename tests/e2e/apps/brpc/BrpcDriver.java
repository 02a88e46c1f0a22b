// SPDX-License-Identifier: Apache-2.0
/**
 * BrpcDriver PORT PROTOCOL CHANNEL [cpp | old | zlib] < "go": a fixed series of calls. PROTOCOL: 1 baidu_std, 4 sofa. CHANNEL: SINGLE, POOLED or SHORT. Prints
 * {"what","ns","error"} for each step. cpp: calls that bRPC's C++ server does not know. old: on a connection that was used before "ready" is said. zlib: what is
 * sent is compressed.
 */

import com.baidu.brpc.RpcContext;
import com.baidu.brpc.client.BrpcProxy;
import com.baidu.brpc.client.RpcCallback;
import com.baidu.brpc.client.RpcClient;
import com.baidu.brpc.client.RpcClientOptions;
import com.baidu.brpc.client.channel.ChannelType;
import com.baidu.brpc.client.channel.Endpoint;
import com.baidu.brpc.exceptions.RpcException;
import com.baidu.brpc.protocol.Options;
import com.google.protobuf.DescriptorProtos.EnumValueDescriptorProto;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

public class BrpcDriver {
	private static final class Counted implements RpcCallback<EnumValueDescriptorProto> {
		private final CountDownLatch left;

		Counted(CountDownLatch left) {
			this.left = left;
		}

		public void success(EnumValueDescriptorProto o) {
			left.countDown();
		}

		public void fail(Throwable e) {
			System.err.println(e);
		}
	}

	private static void step(String what, Supplier<EnumValueDescriptorProto> call, int expect) {
		String error = "";
		long start = System.nanoTime();

		try {
			EnumValueDescriptorProto o = call.get();
			if (o.getNumber() != expect)
				throw new IllegalStateException(what + ": " + o.getNumber());
		} catch (RpcException e) {
			error = "RpcException";
		}
		System.out.println("{\"what\": \"" + what + "\", \"ns\": " + (System.nanoTime() - start) + ", \"error\": \"" + error + "\"}");
	}

	private static String text(int n) {
		StringBuilder b = new StringBuilder("secret");

		while (b.length() < n)
			b.append("-secret");
		return b.toString();
	}

	private static void several(Shop.BasketAsync shop, int n) throws Exception {
		CountDownLatch left = new CountDownLatch(n);

		for (int i = 0; i < n; i++) {
			EnumValueDescriptorProto o = Shop.order("secret", i == 0 ? 100 : i);
			if (i == 0)
				shop.slow(o, new Counted(left)); // its answer is the last
			else
				shop.add(o, new Counted(left));
		}
		if (!left.await(60, TimeUnit.SECONDS))
			throw new IllegalStateException("answers are missing: " + left.getCount());
	}

	private static void calls(Shop.BasketAsync shop) {
		for (int i = 0; i < 11; i++) {
			int n = i;
			step("add", () -> shop.add(Shop.order("secret", n)), n + 1);
		}
		for (int i = 0; i < 7; i++)
			step("echo", () -> shop.echo(Shop.order("secret 4929123", 7)), 7);
		step("big", () -> shop.echo(Shop.order(text(300_000), 8)), 8);
		for (int i = 0; i < 3; i++)
			step("fail", () -> shop.fail(Shop.order("secret", 0)), 0);
		step("slow", () -> shop.slow(Shop.order("secret", 100)), 100);
		RpcContext.getContext().setLogId(4711L);
		RpcContext.getContext().setRequestBinaryAttachment(text(70_000).getBytes());
		step("attached", () -> shop.add(Shop.order("secret", 1)), 2);
		RpcContext.removeContext();
	}

	public static void main(String[] args) throws Exception {
		RpcClientOptions options = new RpcClientOptions();
		String mode = args.length > 3 ? args[3] : "";
		options.setProtocolType(Integer.parseInt(args[1]));
		options.setChannelType(ChannelType.valueOf(args[2] + "_CONNECTION"));
		options.setReadTimeoutMillis(60_000);
		options.setMaxTryTimes(1);
		options.setIoThreadNum(2);
		options.setWorkThreadNum(2);
		options.setMinIdleConnections(1);
		if (mode.equals("zlib"))
			options.setCompressType(Options.CompressType.COMPRESS_TYPE_ZLIB);
		RpcClient client = new RpcClient(new Endpoint("127.0.0.1", Integer.parseInt(args[0])), options);
		Shop.BasketAsync shop = BrpcProxy.getProxy(client, Shop.BasketAsync.class);
		if (mode.equals("old")) {
			shop.add(Shop.order("secret", 1));
			System.err.println("ready");
		}
		if (System.in.read() != 'g')
			throw new IllegalStateException("go?");
		if (mode.equals("cpp")) {
			RpcClient other = new RpcClient(new Endpoint("127.0.0.1", Integer.parseInt(args[0])), options);
			RpcClient third = new RpcClient(new Endpoint("127.0.0.1", Integer.parseInt(args[0])), options);
			Shop.Receiver receiver = BrpcProxy.getProxy(other, Shop.Receiver.class);
			Shop.Unknown unknown = BrpcProxy.getProxy(third, Shop.Unknown.class);
			for (int i = 0; i < 5; i++)
				step("steal", () -> receiver.steal(Shop.order("secret", 1)), 2);
			for (int i = 0; i < 2; i++)
				step("unknown", () -> unknown.steal(Shop.order("secret", 1)), 2);
		} else {
			calls(shop);
			if (args[2].equals("SINGLE"))
				several(shop, 53);
			step("last", () -> shop.add(Shop.order("secret", 1)), 2);
		}
		System.out.flush();
		System.exit(0);
	}
}
