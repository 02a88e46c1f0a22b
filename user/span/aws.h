/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of AWS's APIs from what an HTTP request shows of them: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html,
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html. Results are views.
 */
#ifndef PLUMB_SPAN_AWS_H
#define PLUMB_SPAN_AWS_H

#include "span/url.h"

struct aws_call {
	struct slice service;   /* as AWS's SDKs name it: S3, SQS */
	struct slice method;    /* "" = not known */
	struct slice bucket, key, upload_id; /* S3 */
	uint64_t part_number;   /* 0 = none */
	struct slice queue;     /* SQS */
};

/* What the signature of a request says where it stands in the URL (X-Amz-Credential of presigned ones): the service, "" if there is none, and the region. */
struct slice aws_presigned(struct slice query, struct slice *ret_region);
/*
 * service: of the signature's scope. target: X-Amz-Target's value, action: the form's Action, queue: a URL of a queue from the body; each may be "".
 * host: as the client named it. copies: there is an X-Amz-Copy-Source.
 */
void aws_describe(struct slice service, struct slice http_method, const struct url *u, struct slice host, struct slice target, struct slice action, struct slice queue,
		  bool copies, struct aws_call *ret);

#endif
