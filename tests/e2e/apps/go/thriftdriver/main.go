// SPDX-License-Identifier: Apache-2.0

// thriftdriver runs a fixed series of calls through Thrift's Go library: thriftdriver PORT WAY [SERVICE] < "go". Prints {"what","ns","error"} for each step.
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

	"github.com/apache/thrift/lib/go/thrift"

	. "plumb.test/apps/thriftshop"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var (
	out    = json.NewEncoder(os.Stdout)
	client thrift.TClient
	ctx    = context.Background()
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "thriftdriver:", err)
		os.Exit(1)
	}
}

func call(name string, args ...interface{}) (interface{}, error) {
	result := Fields{First: 0}
	_, err := client.Call(ctx, name, &Fields{First: 1, Values: args}, &result)
	if err != nil {
		return nil, err
	}
	if len(result.Values) > 1 && result.Values[1] != nil {
		return nil, result.Values[1].(*SoldOut)
	}
	if len(result.Values) == 0 {
		return nil, nil
	}
	return result.Values[0], nil
}

func timed(what, expect string, name string, args ...interface{}) {
	start := time.Now()
	_, err := call(name, args...)
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var x thrift.TApplicationException
	var soldOut *SoldOut
	switch {
	case errors.As(err, &soldOut):
		s.Error = soldOut.Error()
	case errors.As(err, &x):
		s.Error = fmt.Sprint(x.TypeId())
	default:
		check(err)
	}
	if s.Error != expect {
		check(fmt.Errorf("%s: error %q, not %q", what, s.Error, expect))
	}
	check(out.Encode(s))
}

func times(n int, what, expect, name string, args ...interface{}) {
	for i := 0; i < n; i++ {
		timed(what, expect, name, args...)
	}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	transports, protocols := Factories(os.Args[2])
	transport, err := transports.GetTransport(thrift.NewTSocketConf("127.0.0.1:"+os.Args[1], nil))
	check(err)
	check(transport.Open())
	protocol := protocols.GetProtocol(transport)
	if len(os.Args) > 3 {
		protocol = thrift.NewTMultiplexedProtocol(protocol, os.Args[3])
	}
	if os.Args[2] == "header" {
		ctx = thrift.SetHeader(ctx, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		ctx = thrift.SetWriteHeaderList(ctx, []string{"traceparent"})
	}
	client = thrift.NewTStandardClient(protocol, protocol)
	times(11, "add", "", "add", int32(4929123), int32(7))
	times(7, "echo", "", "echo", "secret")
	timed("big", "", "echo", strings.Repeat("s", 300_000))
	times(5, "list", "", "list", int32(101))
	times(3, "sold out", "SoldOut secret reason", "buy", "nothing left")
	timed("buy", "", "buy", "secret")
	times(3, "fail", "6", "fail")
	if len(os.Args) == 3 { // one of a multiplexed service ends the connection
		times(2, "unknown", "1", "steal", "secret")
	}
	timed("slow", "", "slow", int32(97))
	for i := 0; i < 13; i++ { // oneway, which this client sends as a call
		_, err := client.Call(ctx, "note", &Fields{First: 1, Values: []interface{}{"secret"}}, nil)
		check(err)
		if i%2 == 0 {
			times(1, "ping", "", "ping")
		}
	}
	timed("last", "", "add", int32(1), int32(1))
	transport.Close()
}
