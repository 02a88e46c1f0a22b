// SPDX-License-Identifier: Apache-2.0

// amqp10driver sends and receives a fixed series of AMQP 1.0 messages through go-amqp, several sessions and links of one connection at a time: amqp10driver PORT < "go".
// Prints {"what","ns","error"} for each step.
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

	amqp "github.com/Azure/go-amqp"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"` // the broker's condition
}

var out = json.NewEncoder(os.Stdout)
var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "amqp10driver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var session *amqp.SessionError
	var link *amqp.LinkError
	switch {
	case errors.As(err, &session) && session.RemoteErr != nil:
		s.Error = string(session.RemoteErr.Condition)
	case errors.As(err, &link) && link.RemoteErr != nil:
		s.Error = string(link.RemoteErr.Condition)
	default:
		check(err)
	}
	check(out.Encode(s))
}

func dial() *amqp.Conn {
	c, err := amqp.Dial(ctx, "amqp://127.0.0.1:"+os.Args[1], &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("guest", "guest"), MaxFrameSize: 8192})
	check(err)
	return c
}

func begin(c *amqp.Conn) *amqp.Session {
	s, err := c.NewSession(ctx, nil)
	check(err)
	return s
}

// An id of each kind: a text, a number, a UUID.
func message(n, size int) *amqp.Message {
	body := make([]byte, size)
	for i := range body {
		body[i] = "secret"[i%6]
	}
	m := amqp.NewMessage(body)
	ids := []any{fmt.Sprint("size", size), uint64(n), amqp.UUID{byte(n)}}
	m.Properties = &amqp.MessageProperties{MessageID: ids[n%3]}
	m.ApplicationProperties = map[string]any{"word": "secret", "n": int64(n)}
	return m
}

// send lets n messages be under way, ten at a time.
func send(s *amqp.Session, address string, n, size int) {
	sender, err := s.NewSender(ctx, address, nil)
	check(err)
	var all sync.WaitGroup
	numbers := make(chan int)
	for i := 0; i < 10; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range numbers {
				check(sender.Send(ctx, message(n, size), nil))
			}
		}()
	}
	for i := 0; i < n; i++ {
		numbers <- i
	}
	close(numbers)
	all.Wait()
}

func receiver(s *amqp.Session, address string, settled bool) *amqp.Receiver {
	options := &amqp.ReceiverOptions{Credit: 50}
	if settled {
		options.RequestedSenderSettleMode = amqp.SenderSettleModeSettled.Ptr()
	}
	r, err := s.NewReceiver(ctx, address, options)
	check(err)
	return r
}

// receive takes n messages: the seventh of 97 bytes is rejected for a reason.
func receive(r *amqp.Receiver, n, size int, settled bool) {
	for i := 1; i <= n; i++ {
		m, err := r.Receive(ctx, nil)
		check(err)
		if len(m.GetData()) != size {
			check(errors.New("another size"))
		}
		switch {
		case settled:
		case i == 7 && size == 97:
			check(r.RejectMessage(ctx, m, &amqp.Error{Condition: "plumb:no-room", Description: "no room left"}))
		default:
			check(r.AcceptMessage(ctx, m))
		}
	}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c := dial()
	queues := []string{"/queue/plumb.ten1", "/queue/plumb.ten2", "/queue/plumb.ten3"}
	var all sync.WaitGroup
	both := func(run func()) {
		all.Add(1)
		go func() {
			defer all.Done()
			run()
		}()
	}
	var receivers []*amqp.Receiver
	for i, q := range queues {
		i, q, s := i, q, begin(c)
		receivers = append(receivers, receiver(begin(c), q, i == 2))
		both(func() { send(s, q, 101, 97) })
		both(func() { receive(receivers[i], 101, 97, i == 2) })
	}
	all.Wait()
	// Two links of one session, each message of several frames.
	s := begin(c)
	for i, q := range queues[:2] {
		i, q := i, q
		both(func() { send(s, q, 5, 20_011) })
		both(func() { receive(receivers[i], 5, 20_011, false) })
	}
	all.Wait()
	timed("no queue", func() error {
		_, err := begin(c).NewReceiver(ctx, "/amq/queue/plumb.none", nil)
		return err
	})
	check(c.Close())
}
