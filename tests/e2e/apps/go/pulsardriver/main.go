// SPDX-License-Identifier: Apache-2.0

// pulsardriver runs a fixed series of steps through Pulsar's Go client: pulsardriver PORT < "go". Prints {"what","ns","error"} for each step that is timed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/sirupsen/logrus"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulsardriver:", err)
		os.Exit(1)
	}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	auth, err := pulsar.NewAuthenticationBasic("plumb", "sesame")
	check(err)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	client, err := pulsar.NewClient(pulsar.ClientOptions{URL: "pulsar://127.0.0.1:" + os.Args[1], Authentication: auth, Logger: log.NewLoggerWithLogrus(quiet)})
	check(err)
	consumer, err := client.Subscribe(pulsar.ConsumerOptions{Topic: "go", SubscriptionName: "one", Type: pulsar.Shared})
	check(err)
	producer, err := client.CreateProducer(pulsar.ProducerOptions{Topic: "go", DisableBatching: true})
	check(err)
	for i := 0; i < 7; i++ {
		start := time.Now()
		_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: []byte("secret"), Properties: map[string]string{"password": "sesame"}})
		check(err)
		check(out.Encode(step{What: "send", Ns: time.Since(start).Nanoseconds()}))
	}
	done := make(chan error, 17)
	acknowledge := func(n int) {
		for i := 0; i < n; i++ {
			m, err := consumer.Receive(context.Background())
			check(err)
			check(consumer.Ack(m))
		}
	}
	acknowledge(7)
	atOnce := func(p pulsar.Producer, n int) {
		for i := 0; i < n; i++ {
			p.SendAsync(context.Background(), &pulsar.ProducerMessage{Payload: []byte("secret")}, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) { done <- err })
		}
		check(p.Flush())
		for i := 0; i < n; i++ {
			check(<-done)
		}
		acknowledge(n)
	}
	for i := 0; i < 3; i++ { // the broker writes them with fewer than 128 segments, of which plumb reads no more
		atOnce(producer, 17)
	}
	producer.Close()
	// Batches of exactly five, compressed.
	batches, err := client.CreateProducer(pulsar.ProducerOptions{Topic: "go", BatchingMaxMessages: 5, BatchingMaxPublishDelay: time.Minute, CompressionType: pulsar.LZ4})
	check(err)
	atOnce(batches, 15)
	batches.Close()
	check(consumer.Unsubscribe())
	consumer.Close()
	client.Close()
}
