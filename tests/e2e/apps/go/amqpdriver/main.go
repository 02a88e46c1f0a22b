// SPDX-License-Identifier: Apache-2.0

// amqpdriver runs a fixed series of AMQP requests through amqp091-go, several channels of one connection at a time: amqpdriver PORT < "go". Prints
// {"what","ns","error"} for each step. DRIVER_TLS=FOLDER: over TLS (package overtls).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"plumb.test/apps/overtls"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"` // the broker's code
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "amqpdriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var refused *amqp.Error
	if errors.As(err, &refused) {
		s.Error = fmt.Sprint(refused.Code)
	} else {
		check(err)
	}
	check(out.Encode(s))
}

func open(c *amqp.Connection) *amqp.Channel {
	ch, err := c.Channel()
	check(err)
	return ch
}

func message(size int) amqp.Publishing {
	body := make([]byte, size)
	for i := range body {
		body[i] = "secret"[i%6]
	}
	return amqp.Publishing{Body: body, MessageId: fmt.Sprint("size", size)}
}

// publishes n messages of this size, and waits when all are sent.
func publish(c *amqp.Connection, queue string, n, size int) {
	ch := open(c)
	check(ch.Confirm(false))
	var waiting []*amqp.DeferredConfirmation
	for i := 0; i < n; i++ {
		d, err := ch.PublishWithDeferredConfirmWithContext(context.Background(), "", queue, false, false, message(size))
		check(err)
		waiting = append(waiting, d)
	}
	for _, d := range waiting {
		if !d.Wait() {
			check(errors.New("not confirmed"))
		}
	}
	check(ch.Close())
}

// consume takes n messages; every 19th is acknowledged with those before it.
func consume(c *amqp.Connection, queue string, n int, noAck bool) {
	ch := open(c)
	check(ch.Qos(50, 0, false))
	taken, err := ch.Consume(queue, "", noAck, false, false, false, nil)
	check(err)
	for i := 1; i <= n; i++ {
		d := <-taken
		if !noAck && (i%19 == 0 || i == n) {
			check(d.Ack(true))
		}
	}
	check(ch.Close())
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c, err := amqp.DialConfig(overtls.Scheme("amqp", "amqps")+"://guest:guest@127.0.0.1:"+os.Args[1]+"/", amqp.Config{FrameSize: 8192, TLSClientConfig: overtls.Config()})
	check(err)
	ch := open(c)
	queues := []string{"plumb.go1", "plumb.go2", "plumb.go3"}
	for _, q := range queues {
		_, err := ch.QueueDeclare(q, false, false, false, false, nil)
		check(err)
	}
	var all sync.WaitGroup
	both := func(run func()) {
		all.Add(1)
		go func() {
			defer all.Done()
			run()
		}()
	}
	for _, q := range queues {
		q := q
		both(func() { publish(c, q, 101, 97) })
		both(func() { consume(c, q, 101, q == "plumb.go3") })
	}
	all.Wait()
	// Frames of one channel between those of the others.
	for _, q := range queues {
		q := q
		both(func() { publish(c, q, 5, 20_011) })
	}
	all.Wait()
	for i := 0; i < 5; i++ {
		timed("get", func() error {
			d, ok, err := ch.Get("plumb.go1", false)
			if err == nil && (!ok || len(d.Body) != 20_011) {
				err = errors.New("nothing got")
			}
			if err == nil {
				err = d.Nack(false, false)
			}
			return err
		})
	}
	consume(c, "plumb.go2", 5, false)
	bad := open(c)
	timed("no queue", func() error {
		_, err := bad.QueueDeclarePassive("plumb.none", false, false, false, false, nil)
		return err
	})
	bad = open(c)
	timed("locked", func() error { _, err := bad.QueueDeclare("amq.mine", false, false, false, false, nil); return err })
	for _, q := range queues {
		timed("delete", func() error { _, err := ch.QueueDelete(q, false, false, false); return err })
	}
	check(c.Close())
}
