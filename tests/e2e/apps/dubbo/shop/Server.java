// SPDX-License-Identifier: Apache-2.0
package shop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.logging.ConsoleHandler;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ArgumentConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;

/** usage: Server PORT SERIALIZATION. A shop on 127.0.0.1, of version 1.7.0, without a registry. */
public class Server implements Shop {
	/** 127.0.0.1, in a form that Dubbo does not replace by an address that other machines reach. */
	static final String LOOPBACK = "2130706433";

	private final ScheduledExecutorService later = Executors.newScheduledThreadPool(2);

	public int add(int a, int b) {
		return a + b;
	}

	public String echo(String text) {
		return text;
	}

	public List<String> list(int n) {
		return new ArrayList<>(Collections.nCopies(n, "secret"));
	}

	public String buy(String what) throws SoldOut {
		if (what.equals("nothing"))
			throw new SoldOut("secret: no " + what);
		return "secret " + what;
	}

	public void fail(String text) {
		throw new IllegalStateException("secret " + text);
	}

	public void note(String text) {}

	public void ping() {}

	public CompletableFuture<Integer> pause(int ms) {
		CompletableFuture<Integer> done = new CompletableFuture<>();
		later.schedule(() -> done.complete(ms), ms, TimeUnit.MILLISECONDS);
		return done;
	}

	public void watch(String key, int n, Listener listener) {
		for (int i = 0; i < n; i++)
			listener.changed("secret " + i);
	}

	/** Heartbeats are said on standard error. */
	private static final Logger HEARTBEATS = Logger.getLogger("org.apache.dubbo.remoting.exchange.support.header.HeartbeatHandler");

	private static void sayHeartbeats() {
		ConsoleHandler console = new ConsoleHandler();
		console.setLevel(Level.FINE);
		HEARTBEATS.setLevel(Level.FINE);
		HEARTBEATS.addHandler(console);
	}

	static ApplicationConfig application(String name) {
		ApplicationConfig application = new ApplicationConfig(name);
		application.setQosEnable(false);
		application.setRegisterConsumer(false);
		return application;
	}

	/** watch's third argument is called back. */
	static MethodConfig watch() {
		ArgumentConfig listener = new ArgumentConfig();
		listener.setIndex(2);
		listener.setCallback(true);
		MethodConfig watch = new MethodConfig();
		watch.setName("watch");
		watch.setArguments(List.of(listener));
		return watch;
	}

	public static void main(String[] args) throws Exception {
		sayHeartbeats();
		System.setProperty("DUBBO_IP_TO_BIND", LOOPBACK);
		ProtocolConfig protocol = new ProtocolConfig("dubbo", Integer.parseInt(args[0]));
		protocol.setHost("127.0.0.1");
		protocol.setSerialization(args[1]);
		protocol.setThreads(64);
		protocol.setIothreads(2);
		ServiceConfig<Shop> service = new ServiceConfig<>();
		service.setApplication(application("shop"));
		service.setRegistry(new RegistryConfig("N/A"));
		service.setProtocol(protocol);
		service.setInterface(Shop.class);
		service.setVersion("1.7.0");
		service.setRef(new Server());
		service.setMethods(List.of(watch()));
		service.setParameters(Map.of("watch.2.callback", "true"));
		service.export();
		Thread.currentThread().join();
	}
}
