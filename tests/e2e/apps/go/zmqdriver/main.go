// SPDX-License-Identifier: Apache-2.0

// zmqdriver talks with zmqd.py's sockets through zmq4, which speaks ZMTP 3.0: zmqdriver PORTS(JSON) < "go". Prints {"what","ns","error"} for each step that is timed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/plain"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var (
	out   = json.NewEncoder(os.Stdout)
	ports map[string]any
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "zmqdriver:", err)
		os.Exit(1)
	}
}

func expect(got, want string) {
	if got != want {
		check(fmt.Errorf("%.40q, not %.40q", got, want))
	}
}

func connected(s zmq4.Socket, name string) zmq4.Socket {
	check(s.Dial(fmt.Sprintf("tcp://127.0.0.1:%d", int(ports[name].(float64)))))
	return s
}

func text(m zmq4.Msg) string {
	var parts []string
	for _, f := range m.Frames {
		parts = append(parts, string(f))
	}
	return strings.Join(parts, "|")
}

func recv(s zmq4.Socket) string {
	m, err := s.Recv()
	check(err)
	return text(m)
}

func timed(what string, s zmq4.Socket, frames ...string) {
	m := zmq4.NewMsgFromString(frames)
	start := time.Now()
	check(s.SendMulti(m))
	got := recv(s)
	check(out.Encode(step{What: what, Ns: time.Since(start).Nanoseconds()}))
	expect(got, text(m))
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	check(json.Unmarshal([]byte(os.Args[1]), &ports))
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	ctx := context.Background()
	rep := connected(zmq4.NewRep(ctx), "req") // stays open: an answer may be sent later than Send returns
	for i := 0; i < 13; i++ {
		expect(recv(rep), "secret question")
		check(rep.Send(zmq4.NewMsgString("secret answer")))
	}

	s := connected(zmq4.NewReq(ctx), "rep")
	for i := 0; i < 11; i++ {
		timed("request", s, fmt.Sprint("secret ", i))
	}
	timed("slow", s, "slow")
	timed("big", s, strings.Repeat("secret", 50000))
	timed("parts", s, "secret", "", "parts")
	check(s.Close())

	s = connected(zmq4.NewDealer(ctx), "router")
	for i := 0; i < 13; i++ {
		check(s.SendMulti(zmq4.NewMsgFromString([]string{fmt.Sprint("secret ", i), "more"})))
	}
	for i := 12; i >= 0; i-- {
		expect(recv(s), fmt.Sprintf("secret %d|more", i))
	}
	check(s.Close())

	s = connected(zmq4.NewPush(ctx), "pull")
	for i := 0; i < 52; i++ {
		check(s.Send(zmq4.NewMsgString("secret")))
	}
	check(s.Send(zmq4.NewMsgString(strings.Repeat("s", 300000))))
	check(s.Close())

	s = connected(zmq4.NewPull(ctx), "push")
	for i := 0; i < 17; i++ {
		expect(recv(s), "secret job")
	}
	check(s.Close())

	s = connected(zmq4.NewSub(ctx), "pub")
	for _, topic := range []string{"weather.", "weather.rain.", "end"} {
		check(s.SetOption(zmq4.OptionSubscribe, topic))
	}
	for n := 0; recv(s) != "end"; n++ {
	}
	check(s.Close())

	s = connected(zmq4.NewReq(ctx, zmq4.WithSecurity(plain.Security("plumb", "sesame"))), "plain")
	for i := 0; i < 3; i++ {
		timed("plain", s, "secret")
	}
	check(s.Close())

	check(rep.Close())
}
