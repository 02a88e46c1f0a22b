// SPDX-License-Identifier: Apache-2.0

// stompdriver runs a fixed series of steps through go-stomp: stompdriver PORT < "go". Prints {"what","ns","error"} for each step that is timed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-stomp/stomp/v3"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stompdriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	check(run())
	check(out.Encode(step{What: what, Ns: time.Since(start).Nanoseconds()}))
}

func connect() *stomp.Conn {
	c, err := stomp.Dial("tcp", "127.0.0.1:"+os.Args[1], stomp.ConnOpt.Login("guest", "guest"), stomp.ConnOpt.Host("/"), stomp.ConnOpt.HeartBeat(0, 0))
	check(err)
	return c
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c := connect()
	sub, err := c.Subscribe("/queue/go", stomp.AckClientIndividual, stomp.SubscribeOpt.Header("prefetch-count", "200"))
	check(err)
	var all sync.WaitGroup
	all.Add(54)
	delivered := make(chan *stomp.Message, 100)
	go func() { // the client reads and writes nothing while what was delivered waits
		for i := 0; i < 63; i++ {
			delivered <- <-sub.C
		}
	}()
	go func() { // what is refused comes once more
		defer all.Done()
		for i := 0; i < 63; i++ {
			m := <-delivered
			check(m.Err)
			if i < 60 && i%20 == 7 {
				check(c.Nack(m))
			} else {
				check(c.Ack(m))
			}
		}
	}()
	for i := 0; i < 7; i++ {
		timed("sure", func() error { return c.Send("/queue/go", "text/plain", []byte("secret"), stomp.SendOpt.Receipt) })
	}
	for i := 0; i < 53; i++ { // at once, with receipts that come in any order
		go func() {
			defer all.Done()
			check(c.Send("/queue/go", "text/plain", []byte("secret"), stomp.SendOpt.Receipt))
		}()
	}
	all.Wait()
	tx := c.Begin()
	for i := 0; i < 5; i++ {
		check(tx.Send("/queue/other-go", "text/plain", []byte("secret")))
	}
	check(tx.Commit())
	check(sub.Unsubscribe())
	quick, err := c.Subscribe("/topic/quick", stomp.AckAuto)
	check(err)
	check(c.Send("/topic/quick", "text/plain", []byte("secret"), stomp.SendOpt.Receipt))
	m := <-quick.C
	check(m.Err)
	check(quick.Unsubscribe())
	check(c.Disconnect())
	bad := connect()
	err = bad.Send("/nowhere/else", "text/plain", []byte("secret"), stomp.SendOpt.Receipt)
	if err == nil {
		check(errors.New("not refused"))
	}
	fmt.Fprintln(os.Stderr, err)
}
