/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode RECORDING: through the engine, every span into OTLP's protobuf as the exporter does it, batch by batch, to nowhere. Prints, as JSON,
 * the spans and the bytes of the requests.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pipeline.h"
#include "sink/otlp_encode.h"
#include "sink/sink.h"

enum { BATCH_SPANS = 2048, REQUEST_MAX = 4 << 20, READ_BATCH = 4096 };

struct nowhere {
	struct sink sink;
	struct otlp_encoder *encoder;
	struct otlp_batch *batch;
	struct buffer request;
	uint64_t spans, bytes;
	int error;
};

static void send_batch(struct nowhere *n)
{
	n->request.len = 0;
	int err = otlp_batch_request(n->batch, &n->request);
	if (err)
		n->error = err;
	n->spans += n->batch->nspans;
	n->bytes += n->request.len;
	otlp_batch_clear(n->batch);
}

static enum sink_result take_span(struct sink *sink, const struct span *span)
{
	struct nowhere *n = (struct nowhere *)sink;

	if (otlp_batch_full(n->batch))
		send_batch(n);
	int err = otlp_encode_span(n->encoder, n->batch, span);
	if (err)
		n->error = err;
	return err ? SINK_ERROR : SINK_OK;
}

/* 0, or negative errno. */
static int encode(struct source *source, struct nowhere *n)
{
	struct sink *const sinks[] = { &n->sink, NULL };
	const struct pipeline_options options = { .sinks = sinks };
	struct pipeline *p;
	int err = pipeline_new(&options, &p);

	if (err)
		return err;
	do
		err = source->ops->read(source, READ_BATCH, 0, pipeline_record, p);
	while (err >= 0);
	pipeline_finish(p);
	pipeline_free(p);
	send_batch(n);
	if (err == -ENODATA && source->ops->error(source))
		err = -EBADMSG;
	return err == -ENODATA ? n->error : err;
}

int main(int argc, char **argv)
{
	static const struct sink_ops ops = { .name = "nowhere", .span = take_span };
	struct nowhere n = { .sink.ops = &ops };
	struct source *source;
	char error[256];

	if (argc != 2 || source_open_file(argv[1], &source, error, sizeof(error)) < 0) {
		fprintf(stderr, "encode: %s\n", argc != 2 ? "usage: encode RECORDING" : error);
		return 2;
	}
	buffer_init(&n.request, REQUEST_MAX);
	int err = otlp_encoder_new(&n.encoder);
	if (!err)
		err = otlp_batch_new(BATCH_SPANS, &n.batch);
	if (!err)
		err = encode(source, &n);
	source->ops->close(source);
	if (n.batch)
		otlp_batch_free(n.batch);
	if (n.encoder)
		otlp_encoder_free(n.encoder);
	buffer_done(&n.request);
	if (err) {
		fprintf(stderr, "encode: %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	printf("{\"spans\": %llu, \"bytes\": %llu}\n", (unsigned long long)n.spans, (unsigned long long)n.bytes);
	return 0;
}
