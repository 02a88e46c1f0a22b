/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv_put.h"

/* --- Messaging: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ --- */

/*
 * A client that sends is a producer; who is given what a broker delivers is a consumer, and the exchange lasts until it has confirmed that (for which the conventions
 * have the type "process"). The broker's own ends are not in the conventions: it serves what it is asked, and produces what it delivers.
 */
static void messaging_kind(struct semconv *s, struct slice *type)
{
	/* A broker also asks who somebody is, or to leave: no message is moved. */
	bool delivered = (s->x->flags & EXCHANGE_REVERSED) != 0 && slice_eq(*type, SLICE_LIT("process"));

	if (delivered && is_server_end(s))
		*type = SLICE_LIT("send");
	if (delivered)
		s->span->kind = is_server_end(s) ? SPAN_PRODUCER : SPAN_CONSUMER;
	else if (slice_eq(*type, SLICE_LIT("send")) && !is_server(s))
		s->span->kind = SPAN_PRODUCER;
	else if (slice_eq(*type, SLICE_LIT("send")) && s->span->protocol == PLUMB_PROTO_ZEROMQ) { /* no broker is in between */
		*type = SLICE_LIT("process");
		s->span->kind = SPAN_CONSUMER;
	}
}

void semconv_messaging(struct semconv *s)
{
	struct slice operation = in_str(s, ATTR_MESSAGING_OPERATION_NAME), type = in_str(s, ATTR_MESSAGING_OPERATION_TYPE), system = in_str(s, ATTR_MESSAGING_SYSTEM);

	messaging_kind(s, &type);
	struct slice template = in_str(s, ATTR_MESSAGING_DESTINATION_TEMPLATE); /* names that differ with each message are not the span's */
	s->span->name = semconv_join(s, operation, template.len ? template : in_str(s, ATTR_MESSAGING_DESTINATION_NAME));
	if (!s->span->name.len)
		s->span->name = slice_str(s->protocol);
	put_str(s, ATTR_MESSAGING_SYSTEM, system.len ? system : slice_str(s->protocol));
	put_str(s, ATTR_MESSAGING_OPERATION_TYPE, type);
	PASS(s, ATTR_MESSAGING_OPERATION_NAME, ATTR_MESSAGING_DESTINATION_NAME, ATTR_MESSAGING_DESTINATION_TEMPLATE,
	     ATTR_MESSAGING_DESTINATION_TEMPORARY, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, ATTR_MESSAGING_DESTINATION_PARTITION_ID,
	     ATTR_MESSAGING_DESTINATION_SUBSCRIPTION_NAME, ATTR_MESSAGING_CONSUMER_GROUP_NAME, ATTR_MESSAGING_CLIENT_ID, ATTR_MESSAGING_MESSAGE_ID,
	     ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, ATTR_MESSAGING_MESSAGE_BODY_SIZE, ATTR_MESSAGING_KAFKA_OFFSET, ATTR_MESSAGING_RABBITMQ_ROUTING_KEY,
	     ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, ATTR_MESSAGING_ROCKETMQ_MESSAGE_TYPE, ATTR_MESSAGING_ROCKETMQ_MESSAGE_TAG, ATTR_MESSAGING_ROCKETMQ_MESSAGE_DELAY_TIME_LEVEL,
	     ATTR_MESSAGING_RESPONSE_CODE, ATTR_ZEROMQ_SOURCE_TYPE, ATTR_ZEROMQ_DESTINATION_TYPE, ATTR_ZEROMQ_MECHANISM, ATTR_ZEROMQ_FRAMES);
	semconv_error(s, exchange_error(s));
	semconv_server_socket(s, semconv_peer(s));
}
