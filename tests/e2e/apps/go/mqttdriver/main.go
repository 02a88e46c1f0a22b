// SPDX-License-Identifier: Apache-2.0

// mqttdriver runs a fixed series of steps through paho.mqtt.golang (3.1.1): mqttdriver PORT < "go". Prints {"what","ns","error"} for each step that is timed.
// DRIVER_TLS=FOLDER: over TLS (package overtls).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

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
		fmt.Fprintln(os.Stderr, "mqttdriver:", err)
		os.Exit(1)
	}
}

func done(t mqtt.Token) error {
	if !t.WaitTimeout(30 * time.Second) {
		return errors.New("no answer")
	}
	return t.Error()
}

func timed(what string, run func() mqtt.Token) {
	start := time.Now()
	err := done(run())
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	if err != nil {
		s.Error = err.Error()
	}
	check(out.Encode(s))
}

func client(name, password string) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(overtls.Scheme("tcp", "ssl") + "://127.0.0.1:" + os.Args[1]).SetTLSConfig(overtls.Config()).SetClientID(name).SetUsername("plumb").SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(false)
	c := mqtt.NewClient(o)
	return c, done(c.Connect())
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	for i := 0; i < 3; i++ {
		if _, err := client("intruder", "wrong"); err == nil || !strings.Contains(err.Error(), "ot Authorized") {
			check(fmt.Errorf("wrong password: %v", err))
		}
	}
	shop, err := client("shop", "sesame")
	check(err)
	worker, err := client("worker", "sesame")
	check(err)
	var got sync.WaitGroup
	count := func(mqtt.Client, mqtt.Message) { got.Done() }
	check(done(worker.Subscribe("orders/#", 2, count)))
	check(done(shop.Subscribe("stock/+", 1, count)))
	got.Add(13 + 11 + 7 + 101 + 53 + 17)
	for i := 0; i < 13; i++ {
		check(done(shop.Publish("orders/new", 0, false, "secret")))
	}
	for i := 0; i < 11; i++ {
		timed("once", func() mqtt.Token { return shop.Publish("orders/paid", 1, false, "secret") })
	}
	for i := 0; i < 7; i++ {
		timed("exactly once", func() mqtt.Token { return shop.Publish("orders/sent", 2, false, "secret") })
	}
	var tokens []mqtt.Token
	for i := 0; i < 101; i++ {
		tokens = append(tokens, shop.Publish("orders/many", 1, false, "secret"))
	}
	for i := 0; i < 53; i++ {
		tokens = append(tokens, shop.Publish("orders/more", 2, false, "secret"))
	}
	for _, t := range tokens {
		check(done(t))
	}
	for i := 0; i < 17; i++ {
		timed("stock", func() mqtt.Token { return worker.Publish("stock/apples", 2, false, "secret") })
	}
	got.Wait()
	denied := shop.Subscribe("forbidden/y", 1, count)
	check(done(denied))
	if denied.(*mqtt.SubscribeToken).Result()["forbidden/y"] != 0x80 {
		check(errors.New("subscribed to forbidden/y"))
	}
	check(done(shop.Unsubscribe("stock/+")))
	worker.Disconnect(250)
	shop.Disconnect(250)
}
