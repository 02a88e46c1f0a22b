// SPDX-License-Identifier: Apache-2.0
/**
 * JdkTls serve PORT FOLDER HOW: the routes of the truth tests (as httpd.py) over the JDK's TLS with the certificate of FOLDER. HOW: engine (com.sun.net.httpserver, which has an SSLEngine), socket (SSLServerSocket, a thread for each
 * connection), virtual (the same with virtual threads).
 * JdkTls drive PORT FOLDER VERSION CONNECTIONS HOW: requests behind a plan of JSON lines, when "go" is read; prints {"path","status","bytes","ns"} for each. HOW: urlconnection, socket, virtual (SSLSocket), http1, http2
 * (java.net.http.HttpClient, SSLEngine).
 */

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.BufferedInputStream;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public class JdkTls {
	private static final int SLOW_MS = 53, BIG = 200_003;

	private static byte[] bytes(char c, int n) {
		byte[] b = new byte[n];

		Arrays.fill(b, (byte) c);
		return b;
	}

	private static SSLContext context(File folder, boolean serves) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");
		KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
		TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		SSLContext context = SSLContext.getInstance("TLS");
		Certificate certificate;

		try (InputStream in = Files.newInputStream(new File(folder, "cert.pem").toPath())) {
			certificate = CertificateFactory.getInstance("X.509").generateCertificate(in);
		}
		store.load(null, null);
		store.setCertificateEntry("ca", certificate);
		if (serves) {
			String pem = new String(Files.readAllBytes(new File(folder, "key.pem").toPath()), StandardCharsets.US_ASCII);
			byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]*-----", ""));
			PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
			store.setKeyEntry("key", key, new char[0], new Certificate[] {certificate});
		}
		keys.init(store, new char[0]);
		trust.init(store);
		context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
		return context;
	}

	/** Of as many threads as there is work for. */
	private static ExecutorService threads(boolean virtual) throws Exception {
		return virtual ? (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null) : Executors.newCachedThreadPool();
	}

	/* --- the server --- */

	private static final class Answer {
		final int status;
		final byte[] body;
		final boolean chunked;

		Answer(int status, byte[] body, boolean chunked) {
			this.status = status;
			this.body = body;
			this.chunked = chunked;
		}
	}

	private static Answer answer(String method, String path) throws InterruptedException {
		switch (path.split("/")[1]) {
		case "items": return method.equals("DELETE") ? new Answer(204, new byte[0], false) : new Answer(200, ("one item: " + path + "\n").getBytes(StandardCharsets.UTF_8), false);
		case "upload": return new Answer(201, bytes('s', 7), false);
		case "big": return new Answer(200, bytes('b', BIG), false);
		case "chunks": return new Answer(200, bytes('c', 5 * 701), true);
		case "slow": Thread.sleep(SLOW_MS); return new Answer(200, bytes('l', 8), false);
		case "fail": return new Answer(500, bytes('n', 3), false);
		case "busy": return new Answer(503, bytes('l', 6), false);
		default: return new Answer(404, bytes('n', 5), false);
		}
	}

	private static void exchange(HttpExchange x) throws IOException {
		String method = x.getRequestMethod();

		try (InputStream in = x.getRequestBody()) {
			in.readAllBytes();
			Answer a = answer(method, x.getRequestURI().getPath());
			boolean bare = method.equals("HEAD") || a.status == 204;
			if (method.equals("HEAD"))
				x.getResponseHeaders().set("Content-Length", String.valueOf(a.body.length));
			x.sendResponseHeaders(a.status, bare ? -1 : a.chunked ? 0 : a.body.length);
			if (!bare)
				x.getResponseBody().write(a.body);
		} catch (InterruptedException e) {
			throw new IOException(e);
		}
		x.close();
	}

	private static void serveByEngine(int port, SSLContext tls) throws Exception {
		HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", port), 0);

		server.setHttpsConfigurator(new HttpsConfigurator(tls));
		server.setExecutor(threads(false));
		server.createContext("/", JdkTls::exchange);
		server.start();
	}

	private static String line(InputStream in) throws IOException {
		ByteArrayOutputStream line = new ByteArrayOutputStream();

		for (int c; (c = in.read()) != '\n';) {
			if (c < 0)
				return null;
			if (c != '\r')
				line.write(c);
		}
		return line.toString("UTF-8");
	}

	/** Names in lower case; the first line's is empty. */
	private static Map<String, String> head(InputStream in) throws IOException {
		Map<String, String> head = new HashMap<>();
		String l = line(in);

		if (l == null)
			return null;
		for (head.put("", l); !(l = line(in)).isEmpty();)
			head.put(l.substring(0, l.indexOf(':')).toLowerCase(), l.substring(l.indexOf(':') + 1).trim());
		return head;
	}

	private static void connection(SSLSocket socket) {
		try (SSLSocket s = socket) {
			InputStream in = new BufferedInputStream(s.getInputStream());
			OutputStream out = s.getOutputStream();
			for (Map<String, String> head; (head = head(in)) != null;) {
				String[] words = head.get("").split(" ");
				in.readNBytes(Integer.parseInt(head.getOrDefault("content-length", "0")));
				Answer a = answer(words[0], words[1]);
				String length = a.status == 204 ? "" : a.chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: " + a.body.length + "\r\n";
				out.write(("HTTP/1.1 " + a.status + " X\r\n" + length + "\r\n").getBytes(StandardCharsets.US_ASCII));
				if (words[0].equals("HEAD"))
					continue;
				if (a.chunked) {
					for (int i = 0; i < 5; i++)
						out.write(("2bd\r\n" + new String(a.body, 0, 701, StandardCharsets.US_ASCII) + "\r\n").getBytes(StandardCharsets.US_ASCII));
					out.write("0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
				} else {
					out.write(a.body);
				}
			}
		} catch (IOException | InterruptedException e) {
			return; // its client has gone
		}
	}

	private static void serveBySockets(int port, SSLContext tls, boolean virtual) throws Exception {
		SSLServerSocket server = (SSLServerSocket) tls.getServerSocketFactory().createServerSocket(port, 0, InetAddress.getByName("127.0.0.1"));
		ExecutorService threads = threads(virtual);

		while (true) {
			SSLSocket s = (SSLSocket) server.accept();
			s.setTcpNoDelay(true);
			threads.submit(() -> connection(s));
		}
	}

	/* --- the client --- */

	private static final class Step {
		final String method, path;
		final int body;

		Step(String line) {
			method = field(line, "method");
			path = field(line, "path");
			body = Integer.parseInt(field(line, "body"));
		}

		private static String field(String line, String name) {
			Matcher m = Pattern.compile("\"" + name + "\": \"?([^\",}]+)").matcher(line);

			if (!m.find())
				throw new IllegalArgumentException(line);
			return m.group(1);
		}
	}

	/** Requests of one connection, or of a client that keeps one. */
	private interface Way {
		/** Status, bytes of the body. */
		int[] ask(Step s) throws Exception;
	}

	private static Way urlConnection(SSLContext tls, String base) {
		return s -> {
			HttpsURLConnection c = (HttpsURLConnection) new URL(base + s.path).openConnection();
			c.setSSLSocketFactory(tls.getSocketFactory());
			c.setRequestMethod(s.method);
			if (s.body > 0) {
				c.setDoOutput(true);
				c.setFixedLengthStreamingMode(s.body);
				c.getOutputStream().write(bytes('u', s.body));
			}
			int status = c.getResponseCode();
			try (InputStream in = status >= 400 ? c.getErrorStream() : c.getInputStream()) {
				return new int[] {status, in.readAllBytes().length};
			}
		};
	}

	private static Way httpClient(SSLContext tls, String base, HttpClient.Version version) {
		HttpClient client = HttpClient.newBuilder().sslContext(tls).version(version).build();

		return s -> {
			HttpRequest.BodyPublisher body = s.body > 0 ? HttpRequest.BodyPublishers.ofByteArray(bytes('u', s.body)) : HttpRequest.BodyPublishers.noBody();
			HttpResponse<byte[]> r = client.send(HttpRequest.newBuilder(URI.create(base + s.path)).method(s.method, body).build(), HttpResponse.BodyHandlers.ofByteArray());
			return new int[] {r.statusCode(), r.body().length};
		};
	}

	private static Way socket(SSLContext tls, int port) throws IOException {
		SSLSocket socket = (SSLSocket) tls.getSocketFactory().createSocket("localhost", port);
		InputStream in = new BufferedInputStream(socket.getInputStream());
		OutputStream out = socket.getOutputStream();

		socket.setTcpNoDelay(true);
		return s -> {
			out.write((s.method + " " + s.path + " HTTP/1.1\r\nHost: localhost:" + port + "\r\nContent-Length: " + s.body + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
			if (s.body > 0)
				out.write(bytes('u', s.body));
			Map<String, String> head = head(in);
			int status = Integer.parseInt(head.get("").split(" ")[1]), n = 0;
			if (s.method.equals("HEAD") || status == 204)
				return new int[] {status, 0};
			if (head.containsKey("content-length"))
				return new int[] {status, in.readNBytes(Integer.parseInt(head.get("content-length"))).length};
			for (int chunk; (chunk = Integer.parseInt(line(in), 16)) > 0; line(in))
				n += in.readNBytes(chunk).length;
			line(in);
			return new int[] {status, n};
		};
	}

	private static Way way(String how, SSLContext tls, int port) throws IOException {
		String base = "https://localhost:" + port;

		switch (how) {
		case "urlconnection": return urlConnection(tls, base);
		case "http1": return httpClient(tls, base, HttpClient.Version.HTTP_1_1);
		case "http2": return httpClient(tls, base, HttpClient.Version.HTTP_2);
		default: return socket(tls, port);
		}
	}

	private static void drive(int port, SSLContext tls, int connections, String how) throws Exception {
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		List<List<Step>> plans = new ArrayList<>();
		List<Future<?>> done = new ArrayList<>();
		ExecutorService threads = threads(how.equals("virtual"));
		int n = 0;

		for (int i = 0; i < connections; i++)
			plans.add(new ArrayList<>());
		System.err.println("ready");
		for (String line; !(line = in.readLine()).equals("go"); n++)
			plans.get(n % connections).add(new Step(line));
		for (List<Step> steps : plans)
			done.add(threads.submit(() -> {
				Way way = way(how, tls, port);
				for (Step s : steps) {
					long begin = System.nanoTime();
					int[] result = way.ask(s);
					long took = System.nanoTime() - begin;
					synchronized (System.out) {
						System.out.println("{\"path\": \"" + s.path + "\", \"status\": " + result[0] + ", \"bytes\": " + result[1] + ", \"ns\": " + took + "}");
					}
				}
				return null;
			}));
		for (Future<?> f : done)
			f.get();
		System.exit(0);
	}

	public static void main(String[] args) throws Exception {
		int port = Integer.parseInt(args[1]);
		File folder = new File(args[2]);

		if (args[0].equals("drive")) {
			System.setProperty("jdk.tls.client.protocols", "TLSv" + args[3]);
			drive(port, context(folder, false), Integer.parseInt(args[4]), args[5]);
		} else if (args[3].equals("engine")) {
			serveByEngine(port, context(folder, true));
		} else {
			serveBySockets(port, context(folder, true), args[3].equals("virtual"));
		}
	}
}
