// SPDX-License-Identifier: Apache-2.0
/**
 * NettyTls serve PORT FOLDER PROVIDER: the routes of the truth tests (as httpd.py) over TLS with the certificate of FOLDER. PROVIDER: OPENSSL, Netty's own BoringSSL, or JDK.
 * NettyTls drive PORT FOLDER VERSION CONNECTIONS PROVIDER: requests behind a plan of JSON lines, when "go" is read; prints {"path","status","ns"} for each.
 */

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class NettyTls {
	private static final int SLOW_MS = 53, BIG = 200_003;

	private static ByteBuf bytes(char c, int n) {
		byte[] b = new byte[n];

		java.util.Arrays.fill(b, (byte) c);
		return Unpooled.wrappedBuffer(b);
	}

	private static final class Routes extends SimpleChannelInboundHandler<FullHttpRequest> {
		private static void reply(ChannelHandlerContext ctx, HttpMethod method, int status, ByteBuf body) {
			FullHttpResponse r = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status), method.equals(HttpMethod.HEAD) ? Unpooled.EMPTY_BUFFER : body);

			if (status != 204)
				HttpUtil.setContentLength(r, body.readableBytes());
			ctx.writeAndFlush(r);
		}

		private static void replyInChunks(ChannelHandlerContext ctx) {
			DefaultHttpResponse r = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);

			HttpUtil.setTransferEncodingChunked(r, true);
			ctx.writeAndFlush(r);
			for (int i = 0; i < 5; i++)
				ctx.writeAndFlush(new DefaultHttpContent(bytes('c', 701)));
			ctx.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT);
		}

		protected void channelRead0(ChannelHandlerContext ctx, FullHttpRequest request) {
			String path = request.uri(), kind = path.split("/")[1];
			HttpMethod method = request.method();

			switch (kind) {
			case "items":
				if (method.equals(HttpMethod.DELETE))
					reply(ctx, method, 204, Unpooled.EMPTY_BUFFER);
				else
					reply(ctx, method, 200, Unpooled.copiedBuffer("one item: " + path + "\n", StandardCharsets.UTF_8));
				break;
			case "upload": reply(ctx, method, 201, bytes('s', 7)); break;
			case "big": reply(ctx, method, 200, bytes('b', BIG)); break;
			case "chunks": replyInChunks(ctx); break;
			case "slow": ctx.executor().schedule(() -> reply(ctx, method, 200, bytes('l', 8)), SLOW_MS, TimeUnit.MILLISECONDS); break;
			case "fail": reply(ctx, method, 500, bytes('n', 3)); break;
			case "busy": reply(ctx, method, 503, bytes('l', 6)); break;
			default: reply(ctx, method, 404, bytes('n', 5)); break;
			}
		}
	}

	private static void serve(int port, File folder, SslProvider provider) throws Exception {
		SslContext tls = SslContextBuilder.forServer(new File(folder, "cert.pem"), new File(folder, "key.pem")).sslProvider(provider).build();

		new ServerBootstrap().group(new NioEventLoopGroup(2)).channel(NioServerSocketChannel.class).childOption(ChannelOption.TCP_NODELAY, true).childHandler(new ChannelInitializer<Channel>() {
			protected void initChannel(Channel ch) {
				ch.pipeline().addLast(tls.newHandler(ch.alloc()), new HttpServerCodec(), new HttpObjectAggregator(1 << 20), new Routes());
			}
		}).bind("127.0.0.1", port).sync().channel().closeFuture().sync();
	}

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

	/** One after the other, on a connection of their own. */
	private static void requests(EventLoopGroup group, SslContext tls, int port, List<Step> steps) throws Exception {
		BlockingQueue<Integer> answers = new ArrayBlockingQueue<>(1);
		HttpClientCodec codec = new HttpClientCodec();
		Channel ch = new Bootstrap().group(group).channel(NioSocketChannel.class).option(ChannelOption.TCP_NODELAY, true).handler(new ChannelInitializer<Channel>() {
			protected void initChannel(Channel c) {
				c.pipeline().addLast(tls.newHandler(c.alloc(), "localhost", port), codec, new HttpObjectAggregator(1 << 20), new SimpleChannelInboundHandler<FullHttpResponse>() {
					protected void channelRead0(ChannelHandlerContext ctx, FullHttpResponse r) {
						answers.add(r.status().code());
					}
				});
			}
		}).connect("localhost", port).sync().channel();

		for (Step s : steps) {
			FullHttpRequest r = new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.valueOf(s.method), s.path, s.body > 0 ? bytes('u', s.body) : Unpooled.EMPTY_BUFFER);
			r.headers().set(HttpHeaderNames.HOST, "localhost:" + port);
			HttpUtil.setContentLength(r, s.body);
			long begin = System.nanoTime();
			ch.writeAndFlush(r).addListener(ChannelFutureListener.FIRE_EXCEPTION_ON_FAILURE);
			Integer status = answers.poll(30, TimeUnit.SECONDS);
			if (status == null)
				throw new IllegalStateException("no answer to " + s.path);
			synchronized (System.out) {
				System.out.println("{\"path\": \"" + s.path + "\", \"status\": " + status + ", \"ns\": " + (System.nanoTime() - begin) + "}");
			}
		}
		ch.close().sync();
	}

	private static void drive(int port, File folder, String version, int connections, SslProvider provider) throws Exception {
		SslContext tls = SslContextBuilder.forClient().trustManager(new File(folder, "cert.pem")).sslProvider(provider).protocols("TLSv" + version).build();
		EventLoopGroup group = new NioEventLoopGroup(2);
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		List<List<Step>> plans = new ArrayList<>();
		List<Thread> threads = new ArrayList<>();
		Throwable[] failure = new Throwable[1];
		int n = 0;

		for (int i = 0; i < connections; i++)
			plans.add(new ArrayList<>());
		System.err.println("ready");
		for (String line; !(line = in.readLine()).equals("go"); n++)
			plans.get(n % connections).add(new Step(line));
		for (List<Step> steps : plans) {
			Thread t = new Thread(() -> {
				try {
					requests(group, tls, port, steps);
				} catch (Throwable e) {
					failure[0] = e;
				}
			});
			t.start();
			threads.add(t);
		}
		for (Thread t : threads)
			t.join();
		group.shutdownGracefully(0, 1, TimeUnit.SECONDS).sync();
		if (failure[0] != null)
			throw new IllegalStateException(failure[0]);
	}

	public static void main(String[] args) throws Exception {
		File folder = new File(args[2]);

		if (args[0].equals("serve"))
			serve(Integer.parseInt(args[1]), folder, SslProvider.valueOf(args[3]));
		else
			drive(Integer.parseInt(args[1]), folder, args[3], Integer.parseInt(args[4]), SslProvider.valueOf(args[5]));
	}
}
