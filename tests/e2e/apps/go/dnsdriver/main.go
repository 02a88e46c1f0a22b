// SPDX-License-Identifier: Apache-2.0

// A fixed series of look-ups through Go's own resolver: dnsdriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"time"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

func main() {
	server := net.JoinHostPort("127.0.0.1", os.Args[1])
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	out := json.NewEncoder(os.Stdout)
	timed := func(what string, run func() error) {
		start := time.Now()
		err := run()
		s := step{What: what, Ns: time.Since(start).Nanoseconds()}
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			s.Error = "not found"
		} else if err != nil {
			s.Error = err.Error()
		}
		if err := out.Encode(s); err != nil {
			panic(err)
		}
	}
	host := func(name string, count int) func() error {
		return func() error {
			found, err := resolver.LookupHost(context.Background(), name)
			if err == nil && len(found) != count {
				panic(found)
			}
			return err
		}
	}

	if line, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil || line != "go\n" {
		panic("no go")
	}
	for i := 0; i < 7; i++ {
		timed("host", host("shop.test.", 2))
	}
	for i := 0; i < 3; i++ {
		timed("none", host("none.test.", 0))
	}
	timed("txt", func() error {
		_, err := resolver.LookupTXT(context.Background(), "shop.test.")
		return err
	})
	timed("many", host("many.test.", 101))
}
