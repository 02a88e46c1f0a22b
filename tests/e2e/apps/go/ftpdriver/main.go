// SPDX-License-Identifier: Apache-2.0

// ftpdriver runs a fixed series of steps through jlaffaye/ftp: ftpdriver PORT < "go". Prints {"what","ns","error"} for each step that is timed.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"strconv"
	"time"

	"github.com/jlaffaye/ftp"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "ftpdriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var refused *textproto.Error
	if errors.As(err, &refused) {
		s.Error = strconv.Itoa(refused.Code)
	} else {
		check(err)
	}
	check(out.Encode(s))
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c, err := ftp.Dial("127.0.0.1:"+os.Args[1], ftp.DialWithTimeout(30*time.Second))
	check(err)
	check(c.Login("anonymous", "sesame"))
	check(c.ChangeDir("in"))
	for i := 0; i < 13; i++ {
		timed("store", func() error { return c.Stor(fmt.Sprintf("file%d.txt", i), bytes.NewReader([]byte("secret"))) })
	}
	check(c.Stor("big.bin", bytes.NewReader(bytes.Repeat([]byte("secret"), 500_000))))
	for i := 0; i < 5; i++ {
		r, err := c.Retr(fmt.Sprintf("file%d.txt", i))
		check(err)
		_, err = io.ReadAll(r)
		check(err)
		check(r.Close())
	}
	for i := 0; i < 3; i++ {
		timed("none", func() error { _, err := c.Retr("none.txt"); return err })
	}
	for i := 0; i < 7; i++ {
		timed("size", func() error { _, err := c.FileSize("big.bin"); return err })
	}
	timed("no folder", func() error { return c.ChangeDir("none") })
	check(c.NoOp())
	check(c.Delete("file0.txt"))
	check(c.Quit())
}
