// SPDX-License-Identifier: Apache-2.0

// amqp10peerdriver has a peer (apps/amqp10_peer.py) give each kind of answer, through go-amqp: amqp10peerdriver PORT < "go". Prints {"what","error"} for each step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	amqp "github.com/Azure/go-amqp"
)

type step struct {
	What  string `json:"what"`
	Error string `json:"error"` // the peer's condition
}

var out = json.NewEncoder(os.Stdout)
var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "amqp10peerdriver:", err)
		os.Exit(1)
	}
}

func tell(what string, err error) {
	s := step{What: what}
	var refused *amqp.Error
	var link *amqp.LinkError
	switch {
	case errors.As(err, &link) && link.RemoteErr != nil:
		s.Error = string(link.RemoteErr.Condition)
	case errors.As(err, &refused):
		s.Error = string(refused.Condition)
	default:
		check(err)
	}
	check(out.Encode(s))
}

func send(s *amqp.Session, address string, n, size int) {
	sender, err := s.NewSender(ctx, address, nil)
	check(err)
	for i := 0; i < n; i++ {
		tell(address, sender.Send(ctx, amqp.NewMessage(make([]byte, size)), nil))
	}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c, err := amqp.Dial(ctx, "amqp://127.0.0.1:"+os.Args[1], &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), MaxFrameSize: 8192})
	check(err)
	s, err := c.NewSession(ctx, nil)
	check(err)
	send(s, "accept", 5, 101)
	send(s, "accept", 2, 200_003)
	send(s, "reject", 5, 101)
	send(s, "release", 3, 101)
	send(s, "modify", 2, 101)
	_, err = s.NewSender(ctx, "refuse", nil)
	tell("refuse", err)
	_, err = s.NewReceiver(ctx, "refuse", nil)
	tell("refuse", err)
	r, err := s.NewReceiver(ctx, "give", &amqp.ReceiverOptions{Credit: -1})
	check(err)
	check(r.IssueCredit(11))
	for i := 0; i < 11; i++ {
		m, err := r.Receive(ctx, nil)
		check(err)
		if len(m.GetData()) != 30_011 {
			check(errors.New("another size"))
		}
		switch i {
		case 3: // was sent settled
		case 4:
			check(r.RejectMessage(ctx, m, &amqp.Error{Condition: "plumb:no-room", Description: "no room left"}))
		case 5, 6:
			check(r.ReleaseMessage(ctx, m))
		case 7:
			check(r.ModifyMessage(ctx, m, &amqp.ModifyMessageOptions{DeliveryFailed: true}))
		default:
			check(r.AcceptMessage(ctx, m))
		}
	}
	send(s, "leave", 4, 101)
	check(c.Close())
}
