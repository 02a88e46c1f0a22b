// SPDX-License-Identifier: Apache-2.0

// wsdriver PORT, then "go" on standard input: the connections of websocket_driver.py, all at once.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

var bigTime = time.Now().Add(time.Hour)

type talk struct {
	path     string
	messages []string
	blob     bool // and a binary message
	server   bool // the server ends it
}

func times(n int, what string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = what
	}
	return all
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func run(port string, t talk) map[string]any {
	sent, received := 0, 0
	c, _, err := websocket.DefaultDialer.Dial("ws://127.0.0.1:"+port+t.path+"?token=secret", nil)
	must(err)
	read := func(n int) {
		for i := 0; i < n; i++ {
			_, _, err := c.ReadMessage()
			must(err)
			received++
		}
	}
	for _, m := range t.messages {
		must(c.WriteMessage(websocket.TextMessage, []byte(m)))
		sent++
		n, _ := strconv.Atoi(m)
		read(n)
	}
	if t.blob {
		must(c.WriteMessage(websocket.BinaryMessage, bytes.Repeat([]byte("secret"), 30011)))
		sent++
		read(1)
	}
	if !t.server {
		must(c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), bigTime))
	}
	for err == nil {
		_, _, err = c.ReadMessage()
	}
	c.Close()
	return map[string]any{"path": t.path, "sent": sent, "received": received}
}

func main() {
	talks := []talk{{"/chat/1", times(7, "1"), false, false}, {"/chat/2", []string{"101"}, true, false}, {"/chat/3", nil, false, false},
		{"/chat/4", []string{"2", "close 1011"}, false, true}, {"/chat/5", []string{"2", "close 3007"}, false, true}, {"/chat/6", []string{"1", "vanish"}, false, true},
		{"/chat/7", append(times(1009, "0"), "10007"), false, false}}
	results := make([]map[string]any, len(talks))
	var wait sync.WaitGroup

	bufio.NewReader(os.Stdin).ReadString('\n')
	for i := range talks {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			results[i] = run(os.Args[1], talks[i])
		}(i)
	}
	wait.Wait()
	out := json.NewEncoder(os.Stdout)
	for _, r := range results {
		must(out.Encode(r))
	}
}
