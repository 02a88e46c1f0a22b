// SPDX-License-Identifier: Apache-2.0

// natsdriver runs a fixed series of steps through nats.go: natsdriver PORT < "go". Prints {"what","ns","error"} for each step that is timed.
// DRIVER_TLS=FOLDER: over TLS (package overtls).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

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
		fmt.Fprintln(os.Stderr, "natsdriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var api *nats.APIError
	if errors.Is(err, nats.ErrNoResponders) {
		s.Error = "no_responders"
	} else if errors.As(err, &api) {
		s.Error = strconv.Itoa(int(api.ErrorCode))
	} else {
		check(err)
	}
	check(out.Encode(s))
}

func connect(name string, failed chan error) *nats.Conn {
	secure := func(o *nats.Options) error {
		o.TLSConfig = overtls.Config()
		o.Secure = o.TLSConfig != nil
		return nil
	}
	c, err := nats.Connect("nats://127.0.0.1:"+os.Args[1], nats.UserInfo("plumb", "sesame"), nats.Name(name), nats.NoReconnect(), secure,
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	check(err)
	return c
}

func main() {
	const wait = 30 * time.Second
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	failed := make(chan error, 100)
	shop, worker := connect("shop", failed), connect("worker", failed)
	var got sync.WaitGroup
	_, err := worker.QueueSubscribe("orders.*", "packers", func(*nats.Msg) { got.Done() })
	check(err)
	_, err = worker.Subscribe("svc.double", func(m *nats.Msg) { check(m.Respond(append(m.Data, m.Data...))) })
	check(err)
	_, err = worker.Subscribe("svc.slow", func(m *nats.Msg) {
		time.Sleep(100 * time.Millisecond)
		check(m.Respond(nil))
	})
	check(err)
	check(worker.Flush())
	got.Add(13)
	for i := 0; i < 13; i++ { // in one write, most likely
		check(shop.Publish("orders.new", []byte(fmt.Sprintf("secret %d", i))))
	}
	check(shop.Flush())
	got.Wait()
	request := func(subject string) error { _, err := shop.Request(subject, []byte("secret"), wait); return err }
	for i := 0; i < 7; i++ {
		timed("double", func() error { return request("svc.double") })
	}
	for i := 0; i < 3; i++ {
		timed("nobody", func() error { return request("svc.nobody") })
	}
	timed("slow", func() error { return request("svc.slow") })
	var all sync.WaitGroup
	for i := 0; i < 101; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			check(request("svc.double"))
		}()
	}
	all.Wait()
	check(shop.Publish("forbidden.x", []byte("secret")))
	check(shop.Flush())
	fmt.Fprintln(os.Stderr, <-failed)

	js, err := shop.JetStream(nats.MaxWait(wait))
	check(err)
	timed("create", func() error {
		_, err := js.AddStream(&nats.StreamConfig{Name: "ORDERS", Subjects: []string{"js.*"}})
		return err
	})
	for i := 0; i < 5; i++ {
		timed("store", func() error { _, err := js.Publish("js.in", []byte("secret")); return err })
	}
	for i := 0; i < 101; i++ {
		_, err := js.PublishAsync("js.in", []byte("secret"))
		check(err)
	}
	<-js.PublishAsyncComplete()
	for i := 0; i < 3; i++ {
		timed("wrong sequence", func() error {
			_, err := js.Publish("js.in", []byte("secret"), nats.ExpectLastSequence(4711))
			return err
		})
	}
	timed("no stream", func() error { return js.DeleteStream("NONE") })
	sub, err := js.PullSubscribe("js.in", "packer")
	check(err)
	for fetched := 0; fetched < 106; {
		messages, err := sub.Fetch(53, nats.MaxWait(wait))
		check(err)
		for _, m := range messages {
			check(m.AckSync())
		}
		fetched += len(messages)
	}
	timed("delete", func() error { return js.DeleteStream("ORDERS") })
	worker.Close()
	shop.Close()
}
