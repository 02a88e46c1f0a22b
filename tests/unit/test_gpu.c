/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of GPU drivers, record to metrics: records that are lost, come twice, begin anew; what a process leaves behind; which kernels are shown; what tables do when they are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/symbol.h"
#include "metrics/gpu_calls.h"
#include "metrics/gpu_kernels.h"
#include "metrics/metrics.h"
#include "pipeline.h"
#include "proto/gpu_names.h"
#include "source/redact.h"
#include "unit/assert_slice.h"

#define SECOND 1000000000ull

static struct process shop = { .pid = 101, .service = { (const uint8_t *)"shop", 4 } };

static struct metrics *make(void)
{
	struct metrics_options o = { .expire_ns = 100 * SECOND };
	struct metrics *m;

	assert_int_equal(metrics_new(&o, &m), 0);
	return m;
}

/* As a reader would have it. */
static void give(struct metrics *m, const struct record *r, size_t size)
{
	struct record decoded, whole = *r;
	uint8_t raw[sizeof(whole)];
	struct slice none;

	whole.u.h.size = (uint32_t)size;
	whole.u.h.time_ns = SECOND;
	memcpy(raw, &whole, size);
	assert_int_equal(record_decode(slice_make(raw, size), &decoded, &none), (int)size);
	metrics_gpu_record(m, &shop, &decoded);
}

static void calls(struct metrics *m, uint32_t call, struct plumb_gpu_totals t)
{
	struct record r = { .u.gpu_calls = { .h.type = PLUMB_REC_GPU_CALLS, .pid = 101, .call = call, .t = t } };

	give(m, &r, sizeof(r.u.gpu_calls));
}

static void kernel(struct metrics *m, const char *name, uint64_t count)
{
	struct record r = { .u.gpu_kernel = { .h.type = PLUMB_REC_GPU_KERNEL, .pid = 101, .l = { .count = count, .sum_ns = count * 7000 } } };

	snprintf(r.u.gpu_kernel.name, sizeof(r.u.gpu_kernel.name), "%s", name);
	give(m, &r, sizeof(r.u.gpu_kernel));
}

static void process(struct metrics *m, uint32_t flags, struct plumb_gpu_process p)
{
	struct record r = { .u.gpu_process = { .h.type = PLUMB_REC_GPU_PROCESS, .pid = 101, .flags = flags, .p = p } };

	give(m, &r, sizeof(r.u.gpu_process));
}

static char *render(struct metrics *m, uint64_t now_ns)
{
	static const struct metrics_self self;
	struct buffer b;

	buffer_init(&b, 8 << 20);
	assert_int_equal(metrics_render(m, &self, false, now_ns, &b), 0);
	assert_int_equal(buffer_append_byte(&b, 0), 0);
	return (char *)b.data;
}

static void assert_says(struct metrics *m, const char *line)
{
	char *text = render(m, 2 * SECOND);

	if (!strstr(text, line))
		fail_msg("not said: %s", line);
	free(text);
}

static void assert_silent(struct metrics *m, const char *start)
{
	char *text = render(m, 2 * SECOND);

	if (strstr(text, start))
		fail_msg("said: %s", start);
	free(text);
}

#define OF "{service_name=\"shop\",process_pid=\"101\""
#define LAUNCH OF ",gpu_api=\"cuda\",gpu_call=\"cuLaunchKernel\""

static void counts(void **state)
{
	struct metrics *m = make();
	struct plumb_gpu_totals t = { .count = 5, .sum_ns = 31000, .buckets = { 2, 3 }, .codes = { { .code = 719, .count = 1 } } };

	(void)state;
	calls(m, PLUMB_GPU_CU_LAUNCH_KERNEL, t);
	calls(m, PLUMB_GPU_CU_LAUNCH_KERNEL, t); /* twice is once */
	assert_says(m, "plumb_gpu_call_duration_seconds_count" LAUNCH "} 5\n");
	t = (struct plumb_gpu_totals){ .count = 23, .sum_ns = 2000031000, .buckets = { 2, 11, [14] = 3, [15] = 7 }, .other_errors = 3,
		.codes = { { .code = 719, .count = 4 }, { .code = 4711, .count = 2 } } };
	calls(m, PLUMB_GPU_CU_LAUNCH_KERNEL, t);
	assert_says(m, "plumb_gpu_call_duration_seconds_bucket" LAUNCH ",le=\"0.000002\"} 2\n");
	assert_says(m, "plumb_gpu_call_duration_seconds_bucket" LAUNCH ",le=\"0.000005\"} 13\n");
	assert_says(m, "plumb_gpu_call_duration_seconds_bucket" LAUNCH ",le=\"1\"} 13\n");
	assert_says(m, "plumb_gpu_call_duration_seconds_bucket" LAUNCH ",le=\"5\"} 16\n");
	assert_says(m, "plumb_gpu_call_duration_seconds_sum" LAUNCH "} 2.000031\n");
	assert_says(m, "plumb_gpu_call_duration_seconds_count" LAUNCH "} 23\n");
	assert_says(m, "plumb_gpu_call_errors_total" LAUNCH ",error_type=\"CUDA_ERROR_LAUNCH_FAILED\"} 4\n");
	assert_says(m, "plumb_gpu_call_errors_total" LAUNCH ",error_type=\"4711\"} 2\n");
	assert_says(m, "plumb_gpu_call_errors_total" LAUNCH ",error_type=\"_OTHER\"} 3\n");
	assert_silent(m, "plumb_gpu_call_bytes_total");
	calls(m, PLUMB_GPU_CU_MEMCPY_HTOD, (struct plumb_gpu_totals){ .count = 7, .bytes = 7063, .buckets = { [4] = 7 } });
	assert_says(m, "plumb_gpu_call_bytes_total" OF ",gpu_api=\"cuda\",gpu_call=\"cuMemcpyHtoD\"} 7063\n");
	calls(m, PLUMB_GPU_CALLS, t);
	assert_says(m, "plumb_metric_tracking_refused_total{table=\"gpu\"} 1\n");
	metrics_free(m);
}

/* A process of the same number goes on where the labels are, whether the end of the one before was told or not. */
static void begins_anew(void **state)
{
	for (int told = 0; told < 2; told++) {
		struct metrics *m = make();
		(void)state;
		calls(m, PLUMB_GPU_CU_LAUNCH_KERNEL, (struct plumb_gpu_totals){ .count = 11, .buckets = { 11 } });
		if (told)
			process(m, PLUMB_GPU_ENDED, (struct plumb_gpu_process){ 0 });
		calls(m, PLUMB_GPU_CU_LAUNCH_KERNEL, (struct plumb_gpu_totals){ .count = told ? 13 : 7, .buckets = { told ? 13 : 7 } });
		assert_says(m, told ? "plumb_gpu_call_duration_seconds_count" LAUNCH "} 24\n" : "plumb_gpu_call_duration_seconds_count" LAUNCH "} 18\n");
		metrics_free(m);
	}
}

static void memory(void **state)
{
	struct metrics *m = make();

	(void)state;
	process(m, 0, (struct plumb_gpu_process){ .allocated = { 1009, 7 }, .peak = { 2003, 11 } });
	process(m, 0, (struct plumb_gpu_process){ .allocated = { 503, 5 }, .peak = { 3001, 11 }, .strange_frees = 3, .suppressed = 13 });
	assert_says(m, "plumb_gpu_memory_allocated_bytes" OF ",memory=\"device\"} 503\n");
	assert_says(m, "plumb_gpu_memory_allocated_bytes" OF ",memory=\"host\"} 5\n");
	assert_says(m, "plumb_gpu_memory_peak_bytes" OF ",memory=\"device\"} 3001\n");
	assert_says(m, "plumb_gpu_memory_unmatched_frees_total" OF "} 3\n");
	assert_says(m, "plumb_gpu_spans_suppressed_total" OF "} 13\n");
	process(m, PLUMB_GPU_ENDED, (struct plumb_gpu_process){ .allocated = { 401, 0 }, .peak = { 3001, 11 }, .strange_frees = 3, .suppressed = 17 });
	assert_silent(m, "plumb_gpu_memory_allocated_bytes{");
	assert_says(m, "plumb_gpu_memory_unfreed_bytes_total" OF ",memory=\"device\"} 401\n");
	assert_says(m, "plumb_gpu_spans_suppressed_total" OF "} 17\n");
	process(m, 0, (struct plumb_gpu_process){ .allocated = { 29, 0 }, .peak = { 31, 0 } });
	assert_says(m, "plumb_gpu_memory_allocated_bytes" OF ",memory=\"device\"} 29\n");
	assert_says(m, "plumb_gpu_memory_peak_bytes" OF ",memory=\"device\"} 31\n");
	metrics_free(m);
}

/* It executes another program: what the old one has left counts for that, and the new one begins with what it has. */
static void memory_of_another_program(void **state)
{
	struct metrics *m = make();
	const struct process before = shop;

	(void)state;
	process(m, 0, (struct plumb_gpu_process){ .allocated = { 1009, 0 }, .peak = { 2003, 0 } });
	shop.service = slice_str("bakery");
	process(m, PLUMB_GPU_ENDED, (struct plumb_gpu_process){ .allocated = { 1009, 0 }, .peak = { 2003, 0 } });
	assert_says(m, "plumb_gpu_memory_unfreed_bytes_total" OF ",memory=\"device\"} 1009\n");
	assert_silent(m, "plumb_gpu_memory_allocated_bytes{");
	process(m, 0, (struct plumb_gpu_process){ .allocated = { 29, 0 }, .peak = { 31, 0 } });
	assert_says(m, "plumb_gpu_memory_allocated_bytes{service_name=\"bakery\",process_pid=\"101\",memory=\"device\"} 29\n");
	/* And its name changes while it goes on. */
	shop = before;
	process(m, 0, (struct plumb_gpu_process){ .allocated = { 37, 0 }, .peak = { 41, 0 } });
	assert_says(m, "plumb_gpu_memory_allocated_bytes" OF ",memory=\"device\"} 37\n");
	assert_silent(m, "plumb_gpu_memory_allocated_bytes{service_name=\"bakery\"");
	metrics_free(m);
}

/* Of 37 names those launched most, in this order, and the rest; what is no name is unknown. */
static void kernels(void **state)
{
	struct metrics *m = make();
	char name[32], line[160];

	(void)state;
	for (int round = 1; round <= 2; round++)
		for (uint64_t i = 0; i < 37; i++) {
			snprintf(name, sizeof(name), "kernel_%llu", (unsigned long long)(i * 7 % 37));
			kernel(m, name, (uint64_t)round * 100 + i * 7 % 37);
		}
	kernel(m, "no name", 5);
	kernel(m, "7th", 2);
	kernel(m, "", 3);
	process(m, 0, (struct plumb_gpu_process){ .other = 11, .other_ns = 5000000, .unnamed = 13 });
	char *text = render(m, 2 * SECOND), *at = strstr(text, "\nplumb_gpu_kernel_launches{");
	assert_non_null(at);
	for (int i = 36; i >= 17; i--) {
		snprintf(line, sizeof(line), "plumb_gpu_kernel_launches" OF ",gpu_kernel_name=\"kernel_%d\"} %d\n", i, 200 + i);
		assert_memory_equal(at + 1, line, strlen(line));
		at += strlen(line);
	}
	free(text);
	snprintf(line, sizeof(line), "plumb_gpu_kernel_launches" OF ",gpu_kernel_name=\"_OTHER\"} %d\n", 17 * 200 + 17 * 16 / 2 + 11);
	assert_says(m, line);
	assert_says(m, "plumb_gpu_kernel_launches" OF ",gpu_kernel_name=\"_UNKNOWN\"} 23\n");
	assert_says(m, "plumb_gpu_kernel_launch_seconds" OF ",gpu_kernel_name=\"kernel_36\"} 0.001652\n");
	/* They outlast their process for a while; the next one of its number begins anew. */
	process(m, PLUMB_GPU_ENDED, (struct plumb_gpu_process){ 0 });
	assert_says(m, "plumb_gpu_kernel_launches" OF ",gpu_kernel_name=\"kernel_36\"} 236\n");
	kernel(m, "kernel_1", 3);
	assert_silent(m, "kernel_36");
	assert_says(m, "plumb_gpu_kernel_launches" OF ",gpu_kernel_name=\"kernel_1\"} 3\n");
	process(m, PLUMB_GPU_ENDED, (struct plumb_gpu_process){ 0 });
	text = render(m, 200 * SECOND);
	assert_null(strstr(text, "plumb_gpu_kernel_launches"));
	free(text);
	metrics_free(m);
}

/* Who has ended gives way; who lives does not, and that is counted. */
static void full(void **state)
{
	struct plumb_rec_gpu_kernel r = { .l.count = 1 };
	struct plumb_rec_gpu_process end = { .pid = 1, .flags = PLUMB_GPU_ENDED };
	struct gpu_kernels *k;

	(void)state;
	assert_int_equal(gpu_kernels_new(16, SECOND, &k), 0);
	for (uint32_t i = 0; i < 17; i++) {
		r.pid = 1 + i / 15; /* of the second one there is room for one */
		snprintf(r.name, sizeof(r.name), "kernel_%u", i);
		gpu_kernels_record(k, NULL, &r);
		assert_int_equal(gpu_kernels_refused(k), i == 16);
	}
	gpu_kernels_process(k, NULL, &end, SECOND);
	gpu_kernels_record(k, NULL, &r);
	assert_int_equal(gpu_kernels_refused(k), 1);
	for (r.pid = 3; r.pid < 6; r.pid++) /* and of three processes at once */
		gpu_kernels_record(k, NULL, &r);
	assert_int_equal(gpu_kernels_refused(k), 2);
	gpu_kernels_free(k);
}

/* Shared recordings keep names, and of what is none only that it differs. */
static void redacted(void **state)
{
	struct record r[3] = { { .u.gpu_kernel = { .name = "kept_1" } }, { .u.gpu_kernel = { .name = "a secret" } }, { .u.gpu_kernel = { .name = "b secret" } } };

	(void)state;
	for (int i = 0; i < 3; i++) {
		r[i].u.h.type = PLUMB_REC_GPU_KERNEL;
		memcpy(r[i].u.gpu_kernel.name + 100, "secret", 6); /* behind the end of the name */
		redact_record(&r[i], NULL, 0);
		assert_null(memmem(r[i].u.gpu_kernel.name, sizeof(r[i].u.gpu_kernel.name), "secret", 6));
	}
	assert_string_equal(r[0].u.gpu_kernel.name, "kept_1");
	assert_int_equal(r[1].u.gpu_kernel.name[0], '?');
	assert_string_not_equal(r[1].u.gpu_kernel.name, r[2].u.gpu_kernel.name);
}

/* Whatever a file may hold: nothing breaks, and no table grows beyond its size. */
static void hostile(void **state)
{
	static const uint16_t types[] = { PLUMB_REC_GPU_CALLS, PLUMB_REC_GPU_KERNEL, PLUMB_REC_GPU_PROCESS };
	struct metrics *m = make();
	uint64_t random = 4711;

	(void)state;
	for (int i = 0; i < 20011; i++) {
		struct record r;
		for (size_t k = 0; k < sizeof(r) / 8; k++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			memcpy((uint8_t *)&r + k * 8, &random, 8);
		}
		uint16_t type = types[i % 3];
		r.u.h.type = type;
		if (i % 2) /* often the same ones */
			r.u.gpu_calls.pid %= 7;
		if (i % 5)
			r.u.gpu_calls.call %= PLUMB_GPU_CALLS + 1;
		give(m, &r, record_fixed_bytes(type));
	}
	char *text = render(m, 2 * SECOND);
	size_t lines = 0;
	for (const char *at = text; (at = strstr(at, "\nplumb_gpu_kernel_launches{")); at++)
		lines++;
	assert_in_range(lines, 1, 2 * (8192 / 8 + 1)); /* no name is one: of each process two sums */
	free(text);
	metrics_free(m);
}

static void names(void **state)
{
	char text[GPU_CODE_TEXT];

	(void)state;
	for (uint32_t call = 1; call < PLUMB_GPU_CALLS; call++) {
		const char *name = gpu_call_name(call);
		assert_non_null(name);
		assert_int_equal(gpu_call_protocol(call), name[0] == 'c' ? PLUMB_PROTO_CUDA : PLUMB_PROTO_HIP);
	}
	assert_null(gpu_call_name(PLUMB_GPU_NONE));
	assert_null(gpu_call_name(PLUMB_GPU_CALLS));
	assert_slice(gpu_code_name(PLUMB_PROTO_CUDA, 1, text), "CUDA_ERROR_INVALID_VALUE");
	assert_slice(gpu_code_name(PLUMB_PROTO_CUDA, 999, text), "CUDA_ERROR_UNKNOWN");
	assert_slice(gpu_code_name(PLUMB_PROTO_CUDA, 719, text), "CUDA_ERROR_LAUNCH_FAILED");
	assert_slice(gpu_code_name(PLUMB_PROTO_CUDA, INT32_MIN, text), "-2147483648");
	assert_slice(gpu_code_name(PLUMB_PROTO_HIP, 2, text), "hipErrorOutOfMemory");
	assert_slice(gpu_code_name(PLUMB_PROTO_HIP, 1053, text), "hipErrorRuntimeOther");
	assert_slice(gpu_code_name(PLUMB_PROTO_HIP, 1054, text), "1054");
	assert_true(symbol_is_plausible(SLICE_LIT("_ZN2at6native4fillIfEEvPT_$_0")));
	assert_false(symbol_is_plausible(SLICE_LIT("void fill<float>(float*)")));
	assert_false(symbol_is_plausible(SLICE_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts), cmocka_unit_test(begins_anew), cmocka_unit_test(memory), cmocka_unit_test(memory_of_another_program), cmocka_unit_test(kernels), cmocka_unit_test(full), cmocka_unit_test(redacted), cmocka_unit_test(hostile), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
