// SPDX-License-Identifier: Apache-2.0

// smtpdriver sends mails through net/smtp: smtpdriver PORT < "go". Prints {"what","ns","error"} for each step that is timed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "smtpdriver:", err)
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

func body(c *smtp.Client, text string) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err = w.Write([]byte(text)); err != nil {
		return err
	}
	return w.Close()
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c, err := smtp.Dial("127.0.0.1:" + os.Args[1])
	check(err)
	check(c.Hello("client.example"))
	for i := 0; i < 13; i++ {
		timed("mail", func() error { return c.Mail("secret@sender.example") })
		timed("rcpt", func() error { return c.Rcpt("secret@ok.example") })
		timed("data", func() error { return body(c, "Subject: secret\n\n.\nsecret\n") })
	}
	check(c.Mail("secret@sender.example"))
	for i := 0; i < 3; i++ {
		timed("refused", func() error { return c.Rcpt("secret@refused.example") })
	}
	check(c.Rcpt("secret@ok.example"))
	timed("big", func() error { return body(c, "Subject: secret\n\n"+strings.Repeat("secret..\n.\n", 30_000)) })
	timed("no recipient", func() error { return body(c, "never sent") })
	check(c.Reset())
	check(c.Noop())
	check(c.Quit())
}
