// SPDX-License-Identifier: Apache-2.0
package shop;

import java.util.List;
import java.util.concurrent.CompletableFuture;

public interface Shop {
	int add(int a, int b);
	String echo(String text);
	List<String> list(int n);
	/** Of "nothing" there is none. */
	String buy(String what) throws SoldOut;
	void fail(String text);
	/** Nobody waits for it. */
	void note(String text);
	void ping();
	CompletableFuture<Integer> pause(int ms);
	/** Calls the listener n times on the connection that it was given on. */
	void watch(String key, int n, Listener listener);

	interface Listener {
		String changed(String text);
	}

	/** What the server does not have. */
	interface More {
		String steal(String text);
	}

	class SoldOut extends Exception {
		public SoldOut() {}

		public SoldOut(String text) {
			super(text);
		}
	}
}
