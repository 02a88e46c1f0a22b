// SPDX-License-Identifier: Apache-2.0

// kafkadriver makes a fixed series of Kafka requests through franz-go: kafkadriver PORT < "go". Prints {"what","ns","error"} for each step.
// DRIVER_TLS=FOLDER: over TLS (package overtls).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"plumb.test/apps/overtls"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kafkadriver:", err)
		os.Exit(1)
	}
}

// timed: errors that the broker says are part of the series.
func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var said *kerr.Error
	if errors.As(err, &said) {
		s.Error = said.Message
	} else {
		check(err)
	}
	check(out.Encode(s))
}

func records(n int, partition int32, value string) []*kgo.Record {
	all := make([]*kgo.Record, n)
	for i := range all {
		trace := fmt.Sprintf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033%02x-01", i)
		all[i] = &kgo.Record{Topic: "parcels", Partition: partition, Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(trace)}}}
	}
	return all
}

func fetch(ctx context.Context, b *kgo.Broker, id [16]byte, partition int32, offset int64, waitMs int32) error {
	r := kmsg.NewPtrFetchRequest()
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.SessionEpoch = waitMs, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = "parcels", id
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	got, err := r.RequestWith(ctx, b)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(got.Topics[0].Partitions[0].ErrorCode)
}

// 101 requests at once on one connection, which does not wait for answers; every seventh asks for what there is not.
func pipeline(ctx context.Context, b *kgo.Broker) error {
	failed := make(chan error, 101)
	for i := 0; i < 101; i++ {
		r := kmsg.NewPtrListOffsetsRequest()
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i%3), -1
		if i%7 == 0 {
			p.Partition = 99
		}
		r.Topics = append(r.Topics, kmsg.ListOffsetsRequestTopic{Topic: "parcels", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}})
		go func() {
			_, err := r.RequestWith(ctx, b)
			failed <- err
		}()
	}
	for i := 0; i < 101; i++ {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	options := []kgo.Opt{kgo.SeedBrokers("127.0.0.1:" + os.Args[1]), kgo.ClientID("parcel-service"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(50 * time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()), kgo.RequestRetries(0), kgo.MetadataMinAge(100 * time.Millisecond)}
	if config := overtls.Config(); config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	cl, err := kgo.NewClient(options...)
	check(err)
	defer cl.Close()

	for i := 0; i < 2; i++ {
		timed("create", func() error {
			r := kmsg.NewPtrCreateTopicsRequest()
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = "parcels", 3, 1
			r.Topics, r.TimeoutMillis = append(r.Topics, t), 30000
			got, err := r.RequestWith(ctx, cl)
			check(err)
			return kerr.ErrorForCode(got.Topics[0].ErrorCode)
		})
	}
	var id [16]byte
	timed("metadata", func() error {
		r := kmsg.NewPtrMetadataRequest()
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr("parcels")
		r.Topics = append(r.Topics, t)
		got, err := r.RequestWith(ctx, cl)
		check(err)
		id = got.Topics[0].TopicID
		return nil
	})
	for i := 0; i < 7; i++ {
		timed("one", func() error { return cl.ProduceSync(ctx, records(1, 0, "secret")...).FirstErr() })
	}
	timed("several", func() error { return cl.ProduceSync(ctx, records(13, 2, "secret")...).FirstErr() })
	b := cl.Broker(1)
	for i := 0; i < 7; i++ {
		timed("fetch", func() error { return fetch(ctx, b, id, 0, int64(i), 500) })
	}
	timed("fetch batch", func() error { return fetch(ctx, b, id, 2, 0, 500) })
	timed("fetch nothing", func() error { return fetch(ctx, b, id, 1, 0, 300) })
	timed("fetch beyond", func() error { return fetch(ctx, b, id, 1, 1000, 300) })
	timed("heartbeat", func() error {
		r := kmsg.NewPtrHeartbeatRequest()
		r.Group, r.Generation, r.MemberID = "nobody", 1, "none"
		got, err := r.RequestWith(ctx, b)
		check(err)
		return kerr.ErrorForCode(got.ErrorCode)
	})
	timed("pipeline", func() error { return pipeline(ctx, b) })
}
