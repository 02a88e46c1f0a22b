/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP metrics from socket records. SOCK_STATS and SOCK_CLOSE carry totals of a socket's life; what was already counted is kept per socket, so that
 * every byte is counted once whatever the order and number of records. Bounded: at the maximum the socket unused longest is forgotten, counted.
 */
#ifndef PLUMB_METRICS_SOCKETS_H
#define PLUMB_METRICS_SOCKETS_H

#include "metrics/series.h"
#include "model/connection.h"

struct sockets;

int sockets_new(uint32_t max, struct series_table *series, struct sockets **ret_sockets);
void sockets_free(struct sockets *t); /* before its series table */
/*
 * rec is SOCK_OPEN, SOCK_CLOSE or SOCK_STATS; others and sockets that are not TCP are ignored. generation of the service's description: 0 unknown.
 * seen: bytes by enum plumb_direction of the socket's records since this engine knows it.
 */
void sockets_record(struct sockets *t, const struct record *rec, struct slice service, uint64_t generation, uint8_t role, const uint64_t seen[2]);
uint64_t sockets_forgotten(const struct sockets *t);

#endif
