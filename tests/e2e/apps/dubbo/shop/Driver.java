// SPDX-License-Identifier: Apache-2.0
package shop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.rpc.RpcContext;

/**
 * usage: Driver PORT SERIALIZATION WAY. On "go" calls the shop in the way that the tests know, and prints what it did and measured. WAY: calls, watch (the server
 * calls back), idle (nothing but heartbeats between two calls).
 */
public class Driver {
	private final String port, serialization;
	private final Shop shop;
	private static final String TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

	private Driver(String port, String serialization, int heartbeat) {
		this.port = port;
		this.serialization = serialization;
		shop = refer(Shop.class, "shop.Shop", heartbeat);
	}

	private <T> T refer(Class<T> type, String path, int heartbeat) {
		MethodConfig note = new MethodConfig();
		note.setName("note");
		note.setReturn(false);
		ReferenceConfig<T> reference = new ReferenceConfig<>();
		reference.setApplication(Server.application("driver"));
		reference.setInterface(type);
		reference.setVersion("1.7.0");
		reference.setUrl("dubbo://" + Server.LOOPBACK + ":" + port + "/" + path + "?serialization=" + serialization + "&prefer.serialization=" + serialization + "&heartbeat=" + heartbeat + "&heartbeat.timeout=180000&watch.2.callback=true");
		if (type == Shop.class)
			reference.setMethods(List.of(note, Server.watch()));
		reference.setTimeout(20000);
		reference.setRetries(0);
		reference.setCheck(false);
		return reference.get();
	}

	private static <T> T step(String what, Callable<T> call) throws Exception {
		long start = System.nanoTime();
		T result = null;
		try {
			result = call.call();
		} catch (Shop.SoldOut | RuntimeException e) {
			System.err.println(what + ": " + e.getClass().getName());
		}
		say(what, System.nanoTime() - start);
		return result;
	}

	private static void say(String what, long ns) {
		System.out.println("{\"what\": \"" + what + "\", \"ns\": " + ns + "}");
	}

	private static void need(boolean right, String what) {
		if (!right)
			throw new AssertionError(what);
	}

	private static Object nothing(Runnable run) {
		run.run();
		return null;
	}

	private static String traced(Callable<String> call) throws Exception {
		RpcContext.getClientAttachment().setAttachment("traceparent", TRACE);
		return call.call();
	}

	private void calls() throws Exception {
		for (int i = 0; i < 11; i++) {
			int n = i;
			need(step("add", () -> shop.add(n, 4929123)) == n + 4929123, "add");
		}
		for (int i = 0; i < 7; i++)
			need(step("echo", () -> shop.echo("secret")).equals("secret"), "echo");
		String big = "secret".repeat(20011);
		need(step("big", () -> shop.echo(big)).equals(big), "big");
		for (int i = 0; i < 5; i++)
			need(step("list", () -> shop.list(7)).size() == 7, "list");
		for (int i = 0; i < 3; i++)
			step("sold out", () -> shop.buy("nothing"));
		step("buy", () -> shop.buy("secret"));
		for (int i = 0; i < 3; i++)
			step("fail", () -> nothing(() -> shop.fail("secret")));
		Shop.More more = refer(Shop.More.class, "shop.Shop", 60000);
		for (int i = 0; i < 2; i++)
			step("no method", () -> more.steal("secret"));
		Shop.More none = refer(Shop.More.class, "shop.Nothing", 60000);
		for (int i = 0; i < 2; i++)
			step("no service", () -> none.steal("secret"));
		step("slow", () -> shop.pause(100).get());
		for (int i = 0; i < 13; i++)
			shop.note("secret");
		for (int i = 0; i < 2; i++)
			step("ping", () -> nothing(shop::ping));
		pauses();
		step("traced", () -> traced(() -> shop.echo("secret")));
		step("last", () -> shop.add(1, 2));
	}

	/** 53 at once, which end in another order than they began. */
	private void pauses() throws Exception {
		List<CompletableFuture<Integer>> pauses = new ArrayList<>();
		for (int i = 0; i < 53; i++)
			pauses.add(shop.pause(1 + i * 17 % 53));
		for (int i = 0; i < 53; i++)
			need(pauses.get(i).get() == 1 + i * 17 % 53, "pause");
	}

	private void watch() throws Exception {
		int[] count = { 0 };
		Shop.Listener listener = text -> "secret " + count[0]++;
		step("watch", () -> nothing(() -> shop.watch("secret", 7, listener)));
		need(count[0] == 7, "callbacks");
		step("last", () -> shop.add(1, 2));
	}

	private void idle() throws Exception {
		need(shop.add(1, 2) == 3, "first");
		need(System.in.read() == -1, "end of input");
		need(shop.add(1, 2) == 3, "last");
	}

	public static void main(String[] args) throws Exception {
		Driver driver = new Driver(args[0], args[1], args[2].equals("idle") ? 100 : 60000);
		/* Once everything that is found out with the first call is known, the times are those of the calls. */
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in), 1);
		for (String line = in.readLine(); line != null && !line.equals("go"); line = in.readLine()) {
			for (int i = 0; i < 300; i++)
				driver.shop.echo("ready");
			System.err.println("ready");
		}
		switch (args[2]) {
		case "watch" -> driver.watch();
		case "idle" -> driver.idle();
		default -> driver.calls();
		}
		System.out.flush();
		System.exit(0);
	}
}
