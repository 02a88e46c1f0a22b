// SPDX-License-Identifier: Apache-2.0

// dubbodriver runs a fixed series of calls on one connection, whose messages Dubbo's Go library writes and reads: dubbodriver PORT < "go". Prints {"what","ns"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	hessian "github.com/apache/dubbo-go-hessian2"
)

type step struct {
	What string `json:"what"`
	Ns   int64  `json:"ns"`
}

type soldOut struct {
	hessian.POJO
	SerialVersionUID int64
	DetailMessage    string
	StackTrace       []interface{}
}

func (soldOut) JavaClassName() string { return "shop.Shop$SoldOut" }
func (e soldOut) Error() string       { return e.DetailMessage }

type answer struct {
	status byte
	value  hessian.Response
}

type client struct {
	conn    net.Conn
	mutex   sync.Mutex
	next    int64
	waiting map[int64]chan answer
	encode  *hessian.HessianCodec
}

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "dubbodriver:", err)
		os.Exit(1)
	}
}

func need(right bool, what string) {
	if !right {
		check(fmt.Errorf("wrong: %s", what))
	}
}

// What the server says, in whatever order.
func (c *client) read() {
	in := bufio.NewReaderSize(c.conn, 1<<20)
	for {
		head, err := in.Peek(hessian.HEADER_LENGTH)
		if err != nil {
			return
		}
		_, err = in.Peek(hessian.HEADER_LENGTH + int(head[12])<<24 + int(head[13])<<16 + int(head[14])<<8 + int(head[15]))
		check(err)
		codec := hessian.NewHessianCodec(in)
		header := hessian.DubboHeader{}
		check(codec.ReadHeader(&header))
		a := answer{status: header.ResponseStatus}
		check(codec.ReadBody(&a.value))
		c.mutex.Lock()
		if ch := c.waiting[header.ID]; ch != nil {
			ch <- a
			delete(c.waiting, header.ID)
		}
		c.mutex.Unlock()
	}
}

func (c *client) send(kind hessian.PackageType, service, method string, args ...interface{}) chan answer {
	ch := make(chan answer, 1)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.next++
	packet, err := c.encode.Write(hessian.Service{Path: service, Interface: service, Version: "1.7.0", Method: method, Timeout: 20 * time.Second},
		hessian.DubboHeader{SerialID: 2, Type: kind, ID: c.next}, hessian.NewRequest(args, map[string]string{"traceparent": trace}))
	check(err)
	if kind == hessian.PackageRequest_TwoWay {
		c.waiting[c.next] = ch
	}
	_, err = c.conn.Write(packet)
	check(err)
	return ch
}

func (c *client) call(what, method string, args ...interface{}) answer {
	return c.callOf(what, "shop.Shop", method, args...)
}

func (c *client) callOf(what, service, method string, args ...interface{}) answer {
	start := time.Now()
	a := <-c.send(hessian.PackageRequest_TwoWay, service, method, args...)
	check(out.Encode(step{what, time.Since(start).Nanoseconds()}))
	return a
}

func (c *client) run() {
	for i := int32(0); i < 11; i++ {
		need(c.call("add", "add", i, int32(4929123)).value.RspObj == i+4929123, "add")
	}
	for i := 0; i < 7; i++ {
		need(c.call("echo", "echo", "secret").value.RspObj == "secret", "echo")
	}
	big := strings.Repeat("secret", 20011)
	need(c.call("big", "echo", big).value.RspObj == big, "big")
	for i := 0; i < 5; i++ {
		need(c.call("list", "list", int32(7)).value.Exception == nil, "list")
	}
	for i := 0; i < 3; i++ {
		need(c.call("sold out", "buy", "nothing").value.Exception != nil, "sold out")
	}
	need(c.call("buy", "buy", "secret").value.RspObj == "secret secret", "buy")
	for i := 0; i < 3; i++ {
		need(c.call("fail", "fail", "secret").value.Exception != nil, "fail")
	}
	for i := 0; i < 2; i++ {
		need(c.call("no method", "steal", "secret").status == hessian.Response_BAD_REQUEST, "no method")
	}
	for i := 0; i < 2; i++ {
		need(c.callOf("no service", "shop.Nothing", "steal", "secret").status == hessian.Response_BAD_REQUEST, "no service")
	}
	c.call("slow", "pause", int32(100))
	for i := 0; i < 13; i++ {
		c.send(hessian.PackageRequest, "shop.Shop", "note", "secret")
	}
	for i := 0; i < 2; i++ {
		c.call("ping", "ping")
	}
	// 53 at once, which end in another order than they began.
	var pauses []chan answer
	for i := int32(0); i < 53; i++ {
		pauses = append(pauses, c.send(hessian.PackageRequest_TwoWay, "shop.Shop", "pause", 1+i*17%53))
	}
	for i, ch := range pauses {
		need((<-ch).value.RspObj == 1+int32(i)*17%53, "pause")
	}
	need(c.call("traced", "echo", "secret").value.RspObj == "secret", "echo")
	c.call("last", "add", int32(1), int32(2))
}

func dial(port string) *client {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	check(err)
	c := &client{conn: conn, waiting: map[int64]chan answer{}, encode: hessian.NewHessianCodec(nil)}
	go c.read()
	return c
}

func main() {
	hessian.RegisterPOJO(&soldOut{})
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	c := dial(os.Args[1])
	for ; in.Text() != "go"; in.Scan() {
		for i := 0; i < 300; i++ {
			<-c.send(hessian.PackageRequest_TwoWay, "shop.Shop", "echo", "ready")
		}
		fmt.Fprintln(os.Stderr, "ready")
	}
	c.run()
}
