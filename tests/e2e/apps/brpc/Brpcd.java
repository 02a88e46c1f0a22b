// SPDX-License-Identifier: Apache-2.0
/** Brpcd PORT: serves the shop by brpc-java, in whatever protocol it is asked in. */

import com.baidu.brpc.server.RpcServer;
import com.baidu.brpc.server.RpcServerOptions;

public class Brpcd {
	public static void main(String[] args) throws Exception {
		RpcServerOptions options = new RpcServerOptions();
		options.setIoThreadNum(2);
		options.setWorkThreadNum(4);
		RpcServer server = new RpcServer("127.0.0.1", Integer.parseInt(args[0]), options);
		server.registerService(new Shop.Served());
		server.start();
		Thread.currentThread().join();
	}
}
