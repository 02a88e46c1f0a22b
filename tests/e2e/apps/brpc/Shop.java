// SPDX-License-Identifier: Apache-2.0
/** What the shop serves, and services that others do not have. */

import com.baidu.brpc.client.RpcCallback;
import com.baidu.brpc.protocol.BrpcMeta;
import com.google.protobuf.DescriptorProtos.EnumValueDescriptorProto;
import java.util.concurrent.Future;

public class Shop {
	/** A text and a number: a message that protobuf brings along. */
	public static EnumValueDescriptorProto order(String text, int number) {
		return EnumValueDescriptorProto.newBuilder().setName(text).setNumber(number).build();
	}

	public interface Basket {
		@BrpcMeta(serviceName = "shop.Basket", methodName = "Add")
		EnumValueDescriptorProto add(EnumValueDescriptorProto o);

		@BrpcMeta(serviceName = "shop.Basket", methodName = "Echo")
		EnumValueDescriptorProto echo(EnumValueDescriptorProto o);

		@BrpcMeta(serviceName = "shop.Basket", methodName = "Fail")
		EnumValueDescriptorProto fail(EnumValueDescriptorProto o);

		@BrpcMeta(serviceName = "shop.Basket", methodName = "Slow")
		EnumValueDescriptorProto slow(EnumValueDescriptorProto o);
	}

	public interface BasketAsync extends Basket {
		@BrpcMeta(serviceName = "shop.Basket", methodName = "Add")
		Future<EnumValueDescriptorProto> add(EnumValueDescriptorProto o, RpcCallback<EnumValueDescriptorProto> done);

		@BrpcMeta(serviceName = "shop.Basket", methodName = "Slow")
		Future<EnumValueDescriptorProto> slow(EnumValueDescriptorProto o, RpcCallback<EnumValueDescriptorProto> done);
	}

	/** Of bRPC's C++ server that a Python library brings. */
	public interface Receiver {
		@BrpcMeta(serviceName = "org.interconnection.link.ReceiverService", methodName = "Steal")
		EnumValueDescriptorProto steal(EnumValueDescriptorProto o);
	}

	/** Without its package, as older callers name a service. */
	public interface Unknown {
		@BrpcMeta(serviceName = "Nothing", methodName = "Steal")
		EnumValueDescriptorProto steal(EnumValueDescriptorProto o);
	}

	public static class Served implements Basket {
		public EnumValueDescriptorProto add(EnumValueDescriptorProto o) {
			return order("", o.getNumber() + 1);
		}

		public EnumValueDescriptorProto echo(EnumValueDescriptorProto o) {
			return o;
		}

		public EnumValueDescriptorProto fail(EnumValueDescriptorProto o) {
			throw new IllegalStateException("secret " + o.getName());
		}

		public EnumValueDescriptorProto slow(EnumValueDescriptorProto o) {
			try {
				Thread.sleep(o.getNumber());
			} catch (InterruptedException e) {
				throw new IllegalStateException(e);
			}
			return o;
		}
	}
}
