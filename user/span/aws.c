/* SPDX-License-Identifier: Apache-2.0 */
#include "span/aws.h"

/* The value of a parameter of the query; *ret_there whether it is there at all. */
static struct slice parameter(struct slice query, struct slice name, bool *ret_there)
{
	while (query.len) {
		size_t end = slice_find(query, '&', 0);
		struct slice part = slice_head(query, end), key = slice_head(part, slice_find(part, '=', 0));
		if (slice_eq(key, name)) {
			*ret_there = true;
			return slice_from(part, key.len + 1);
		}
		query = end == SIZE_MAX ? SLICE_NONE : slice_from(query, end + 1);
	}
	*ret_there = false;
	return SLICE_NONE;
}

static bool has(struct slice query, const char *name)
{
	bool there;

	(void)parameter(query, slice_str(name), &there);
	return there;
}

/* A region or a service: anything may stand in a URL. */
static bool is_scope(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t l = ascii_lower(s.ptr[i]);
		if (!(l >= 'a' && l <= 'z') && !(l >= '0' && l <= '9') && l != '-')
			return false;
	}
	return s.len <= 64;
}

struct slice aws_presigned(struct slice query, struct slice *ret_region)
{
	bool there;
	struct slice v = parameter(query, SLICE_LIT("X-Amz-Credential"), &there), part[5] = { { 0 } };
	size_t n = 0;

	*ret_region = SLICE_NONE;
	/* key/date/region/service/aws4_request, the slashes mostly escaped */
	while (v.len && n < 5) {
		size_t end = 0, mark = 0;
		while (end < v.len && !mark) {
			if (v.ptr[end] == '/')
				mark = 1;
			else if (v.len - end > 2 && v.ptr[end] == '%' && v.ptr[end + 1] == '2' && ascii_lower(v.ptr[end + 2]) == 'f')
				mark = 3;
			else
				end++;
		}
		part[n++] = slice_head(v, end);
		v = slice_from(v, end + mark);
	}
	if (n != 5 || !slice_eq(part[4], SLICE_LIT("aws4_request")) || !is_scope(part[2]) || !is_scope(part[3]))
		return SLICE_NONE;
	*ret_region = part[2];
	return part[3];
}

/* S3. */

enum level { SERVICE, BUCKET, OBJECT };

/* The first line whose method, level and parameter fit; "" as parameter fits always. Reads and writes of the same part differ in their first word alone. */
static const struct s3_line {
	const char *method;
	uint8_t level;
	const char *parameter, *name;
} s3_lines[] = {
	{ "GET", SERVICE, "", "ListBuckets" },
	{ "HEAD", BUCKET, "", "HeadBucket" },
	{ "GET", BUCKET, "list-type", "ListObjectsV2" },
	{ "GET", BUCKET, "location", "GetBucketLocation" },
	{ "GET", BUCKET, "versions", "ListObjectVersions" },
	{ "GET", BUCKET, "uploads", "ListMultipartUploads" },
	{ "POST", BUCKET, "delete", "DeleteObjects" },
	{ "*", BUCKET, "acl", "BucketAcl" },
	{ "*", BUCKET, "cors", "BucketCors" },
	{ "*", BUCKET, "encryption", "BucketEncryption" },
	{ "*", BUCKET, "logging", "BucketLogging" },
	{ "*", BUCKET, "notification", "BucketNotificationConfiguration" },
	{ "*", BUCKET, "object-lock", "ObjectLockConfiguration" },
	{ "*", BUCKET, "ownershipControls", "BucketOwnershipControls" },
	{ "*", BUCKET, "policy", "BucketPolicy" },
	{ "GET", BUCKET, "policyStatus", "GetBucketPolicyStatus" },
	{ "*", BUCKET, "publicAccessBlock", "PublicAccessBlock" },
	{ "*", BUCKET, "replication", "BucketReplication" },
	{ "*", BUCKET, "tagging", "BucketTagging" },
	{ "*", BUCKET, "versioning", "BucketVersioning" },
	{ "*", BUCKET, "website", "BucketWebsite" },
	{ "DELETE", BUCKET, "lifecycle", "DeleteBucketLifecycle" },
	{ "*", BUCKET, "lifecycle", "BucketLifecycleConfiguration" },
	{ "GET", BUCKET, "", "ListObjects" },
	{ "PUT", BUCKET, "", "CreateBucket" },
	{ "DELETE", BUCKET, "", "DeleteBucket" },
	{ "POST", BUCKET, "", "PostObject" },
	{ "HEAD", OBJECT, "", "HeadObject" },
	{ "*", OBJECT, "acl", "ObjectAcl" },
	{ "*", OBJECT, "tagging", "ObjectTagging" },
	{ "*", OBJECT, "retention", "ObjectRetention" },
	{ "*", OBJECT, "legal-hold", "ObjectLegalHold" },
	{ "GET", OBJECT, "attributes", "GetObjectAttributes" },
	{ "GET", OBJECT, "torrent", "GetObjectTorrent" },
	{ "GET", OBJECT, "uploadId", "ListParts" },
	{ "GET", OBJECT, "", "GetObject" },
	{ "PUT", OBJECT, "uploadId", "UploadPart" },
	{ "PUT", OBJECT, "", "PutObject" },
	{ "POST", OBJECT, "uploads", "CreateMultipartUpload" },
	{ "POST", OBJECT, "uploadId", "CompleteMultipartUpload" },
	{ "POST", OBJECT, "restore", "RestoreObject" },
	{ "POST", OBJECT, "select", "SelectObjectContent" },
	{ "DELETE", OBJECT, "uploadId", "AbortMultipartUpload" },
	{ "DELETE", OBJECT, "", "DeleteObject" },
};

/* The names of reads, writes and removals of one part. */
struct part_names {
	const char *part, *get, *put, *remove;
};
#define PART(name) { name, "Get" name, "Put" name, "Delete" name }
static const struct part_names part_names[] = {
	PART("BucketAcl"), PART("BucketCors"), PART("BucketEncryption"), PART("BucketLogging"), PART("BucketNotificationConfiguration"), PART("ObjectLockConfiguration"),
	PART("BucketOwnershipControls"), PART("BucketPolicy"), PART("PublicAccessBlock"), PART("BucketReplication"), PART("BucketTagging"), PART("BucketVersioning"),
	PART("BucketWebsite"), PART("BucketLifecycleConfiguration"), PART("ObjectAcl"), PART("ObjectTagging"), PART("ObjectRetention"), PART("ObjectLegalHold"),
};

static struct slice part_name(struct slice method, const char *part)
{
	for (size_t i = 0; i < sizeof(part_names) / sizeof(part_names[0]); i++) {
		const struct part_names *p = &part_names[i];
		if (strcmp(p->part, part) != 0)
			continue;
		return slice_str(slice_eq(method, SLICE_LIT("GET")) ? p->get : slice_eq(method, SLICE_LIT("PUT")) ? p->put : slice_eq(method, SLICE_LIT("DELETE")) ? p->remove : "");
	}
	return SLICE_NONE;
}

static struct slice s3_method(struct slice method, enum level level, struct slice query)
{
	for (size_t i = 0; i < sizeof(s3_lines) / sizeof(s3_lines[0]); i++) {
		const struct s3_line *l = &s3_lines[i];
		bool any = l->method[0] == '*';
		if (l->level != level || (!any && !slice_eq(method, slice_str(l->method))) || (l->parameter[0] && !has(query, l->parameter)))
			continue;
		return any ? part_name(method, l->name) : slice_str(l->name);
	}
	return SLICE_NONE;
}

/* bucket.s3.region.amazonaws.com, bucket.s3.amazonaws.com, bucket.s3-region.amazonaws.com: the bucket, which may have dots. */
static struct slice bucket_of_host(struct slice host)
{
	static const struct slice end = { (const uint8_t *)".amazonaws.com", 14 };

	if (host.len < end.len || !slice_ieq(slice_from(host, host.len - end.len), end))
		return SLICE_NONE;
	for (size_t at = 1; at + 4 < host.len; at++)
		if (slice_ieq(slice_head(slice_from(host, at), 3), SLICE_LIT(".s3")) && (host.ptr[at + 3] == '.' || host.ptr[at + 3] == '-'))
			return slice_head(host, at);
	return SLICE_NONE;
}

static void describe_s3(struct slice http_method, const struct url *u, struct slice host, bool copies, struct aws_call *ret)
{
	struct slice path = slice_from(u->path, 1), number;
	bool there;

	ret->bucket = bucket_of_host(host);
	if (ret->bucket.len) {
		ret->key = path;
	} else {
		size_t slash = slice_find(path, '/', 0);
		ret->bucket = slice_head(path, slash);
		ret->key = slash == SIZE_MAX ? SLICE_NONE : slice_from(path, slash + 1);
	}
	ret->method = s3_method(http_method, ret->key.len ? OBJECT : ret->bucket.len ? BUCKET : SERVICE, u->query);
	if (copies && slice_eq(ret->method, SLICE_LIT("PutObject")))
		ret->method = SLICE_LIT("CopyObject");
	if (copies && slice_eq(ret->method, SLICE_LIT("UploadPart")))
		ret->method = SLICE_LIT("UploadPartCopy");
	ret->upload_id = parameter(u->query, SLICE_LIT("uploadId"), &there);
	number = parameter(u->query, SLICE_LIT("partNumber"), &there);
	if (!slice_u64(number, &ret->part_number) || ret->part_number > 10000)
		ret->part_number = 0;
}

/* The last segment of a queue's URL, whose slashes may be escaped. */
static struct slice queue_name(struct slice url)
{
	size_t from = 0, segments = 0;

	for (size_t i = 0; i < url.len; i++) {
		bool escaped = url.len - i > 2 && url.ptr[i] == '%' && url.ptr[i + 1] == '2' && ascii_lower(url.ptr[i + 2]) == 'f';
		if (url.ptr[i] != '/' && !escaped)
			continue;
		from = i + (escaped ? 3 : 1);
		segments++;
	}
	return segments > 1 ? slice_from(url, from) : SLICE_NONE;
}

static struct slice service_name(struct slice scope)
{
	static const struct { const char *scope, *name; } names[] = { { "s3", "S3" }, { "sqs", "SQS" }, { "sns", "SNS" }, { "dynamodb", "DynamoDB" }, { "kinesis", "Kinesis" },
		{ "lambda", "Lambda" }, { "sts", "STS" }, { "iam", "IAM" }, { "secretsmanager", "Secrets Manager" }, { "ssm", "SSM" }, { "logs", "CloudWatch Logs" },
		{ "monitoring", "CloudWatch" }, { "events", "EventBridge" }, { "states", "SFN" }, { "bedrock", "Bedrock" }, { "kms", "KMS" }, { "ecr", "ECR" }, { "ec2", "EC2" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(scope, slice_str(names[i].scope)))
			return slice_str(names[i].name);
	return scope;
}

/* Names of operations are words. */
static struct slice word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t l = ascii_lower(s.ptr[i]);
		if (!(l >= 'a' && l <= 'z') && !(s.ptr[i] >= '0' && s.ptr[i] <= '9'))
			return SLICE_NONE;
	}
	return slice_head(s, 64);
}

static struct slice method_of_target(struct slice target)
{
	for (size_t at = slice_find(target, '.', 0); at != SIZE_MAX; at = slice_find(target, '.', 0))
		target = slice_from(target, at + 1);
	return target;
}

void aws_describe(struct slice service, struct slice http_method, const struct url *u, struct slice host, struct slice target, struct slice action, struct slice queue,
		  bool copies, struct aws_call *ret)
{
	bool there;

	*ret = (struct aws_call){ .service = service_name(service) };
	if (slice_eq(service, SLICE_LIT("s3"))) {
		describe_s3(http_method, u, host, copies, ret);
		return;
	}
	if (!action.len)
		action = parameter(u->query, SLICE_LIT("Action"), &there);
	ret->method = word(target.len ? method_of_target(target) : action);
	if (slice_eq(service, SLICE_LIT("sqs")))
		ret->queue = queue_name(queue.len ? queue : u->path);
}
