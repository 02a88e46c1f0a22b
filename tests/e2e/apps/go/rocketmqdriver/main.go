// SPDX-License-Identifier: Apache-2.0

// rocketmqdriver makes a fixed series of RocketMQ requests through rocketmq-client-go: rocketmqdriver NAMESRV_PORT [TOPIC] < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var (
	out   = json.NewEncoder(os.Stdout)
	topic = "parcels"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "rocketmqdriver:", err)
		os.Exit(1)
	}
}

// timed: errors that the broker says are part of the series.
func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	if err != nil {
		s.Error = err.Error()
	}
	check(out.Encode(s))
}

func message(i, bytes int) *primitive.Message {
	m := primitive.NewMessage(topic, []byte("secret "+strings.Repeat("s", bytes)))
	m.WithTag("spring").WithKeys([]string{"secret-key"})
	m.WithProperty("traceparent", fmt.Sprintf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033%02x-01", i))
	return m
}

// ahead sends n messages on one connection without waiting for answers.
func ahead(ctx context.Context, p rocketmq.Producer, n int) error {
	var left sync.WaitGroup
	failed := make(chan error, n)
	left.Add(n)
	for i := 0; i < n; i++ {
		check(p.SendAsync(ctx, func(_ context.Context, _ *primitive.SendResult, err error) {
			if err != nil {
				failed <- err
			}
			left.Done()
		}, message(i, 20)))
	}
	left.Wait()
	close(failed)
	return <-failed
}

func consume(namesrv []string, n int) error {
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(namesrv), consumer.WithGroupName("depot-"+topic), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithInstance("depot"),
		consumer.WithPullBatchSize(7))
	check(err)
	var mu sync.Mutex
	left, done := n, make(chan bool)
	check(c.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		mu.Lock()
		defer mu.Unlock()
		left -= len(messages)
		if left == 0 {
			close(done)
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	select {
	case <-done:
	case <-time.After(90 * time.Second):
		return errors.New("messages do not come")
	}
	return c.Shutdown()
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	if len(os.Args) > 2 {
		topic = os.Args[2]
	}
	rlog.SetLogLevel("error")
	ctx, namesrv := context.Background(), []string{"127.0.0.1:" + os.Args[1]}
	p, err := rocketmq.NewProducer(producer.WithNameServer(namesrv), producer.WithRetry(0), producer.WithGroupName("post"), producer.WithInstanceName("post"), producer.WithCompressMsgBodyOverHowmuch(1<<20))
	check(err)
	check(p.Start())
	for i := 0; i < 7; i++ {
		timed("one", func() error { _, err := p.SendSync(ctx, message(i, 20)); return err })
	}
	timed("batch", func() error {
		all := make([]*primitive.Message, 13)
		for i := range all {
			all[i] = message(i, 100)
		}
		_, err := p.SendSync(ctx, all...)
		return err
	})
	for i := 0; i < 3; i++ {
		timed("too large", func() error { _, err := p.SendSync(ctx, message(0, 100_000)); return err })
	}
	for i := 0; i < 5; i++ {
		timed("oneway", func() error { return p.SendOneWay(ctx, message(0, 20)) })
	}
	timed("ahead", func() error { return ahead(ctx, p, 53) })
	timed("consume", func() error { return consume(namesrv, 7+13+5+53) })
	check(p.Shutdown())
}
