// SPDX-License-Identifier: Apache-2.0

// oradriver runs a fixed series of statements through go-ora: oradriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	_ "github.com/sijms/go-ora/v2"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "oradriver:", err)
		os.Exit(1)
	}
}

func timed(what string, expect string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	if (err == nil) != (expect == "") || (err != nil && !strings.Contains(err.Error(), expect)) {
		check(fmt.Errorf("%s: %v", what, err))
	}
	if err != nil {
		s.Error = expect
	}
	check(out.Encode(s))
}

func main() {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || line != "go\n" {
		check(errors.New("not told to go"))
	}
	base := "oracle://plumb:sesame@127.0.0.1:" + os.Args[1] + "/"
	db, err := sql.Open("oracle", base+"orders?PREFETCH_ROWS=100&LANGUAGE=AMERICAN&TERRITORY=AMERICA")
	check(err)
	ctx := context.Background()
	c, err := db.Conn(ctx)
	check(err)
	exec := func(what, expect string, rows int64, text string, args ...interface{}) {
		timed(what, expect, func() error {
			r, err := c.ExecContext(ctx, text, args...)
			if err != nil {
				return err
			}
			if n, _ := r.RowsAffected(); rows >= 0 && n != rows {
				check(fmt.Errorf("%s: %d rows", what, n))
			}
			return nil
		})
	}
	query := func(what, expect string, rows int, text string) {
		timed(what, expect, func() error {
			r, err := c.QueryContext(ctx, text)
			if err != nil {
				return err
			}
			defer r.Close()
			n := 0
			for r.Next() {
				n++
			}
			if n != rows {
				check(fmt.Errorf("%s: %d rows", what, n))
			}
			return r.Err()
		})
	}
	for i := 0; i < 11; i++ {
		query("select", "", 3, "select id from parcels where name = 'secret'")
	}
	for i := 0; i < 7; i++ {
		exec("insert", "", 1, "insert into parcels (id) values (:1)", i)
	}
	exec("update", "", 11, "update parcels set name = 'secret' where id < 4711")
	query("none", "", 0, "select id from empty where id = 4711")
	query("orders", "", 1009, "select id, name from orders")
	for i := 0; i < 3; i++ {
		query("no table", "ORA-00942", 0, "select * from nowhere where name = 'secret'")
	}
	exec("duplicate", "ORA-00001", 0, "insert into duplicate values ('secret')")
	exec("slow", "", -1, "begin slow('secret'); end;")
	exec("long", "", 11, "update parcels set name = '"+strings.Repeat("secret", 100)+"'")
	for i := 0; i < 2; i++ {
		timed("ping", "", func() error { return c.PingContext(ctx) })
	}
	tx, err := c.BeginTx(ctx, nil)
	check(err)
	timed("commit", "", tx.Commit)
	tx, err = c.BeginTx(ctx, nil)
	check(err)
	timed("rollback", "", tx.Rollback)
	check(c.Close())
	check(db.Close())
	nothing, err := sql.Open("oracle", base+"nothing")
	check(err)
	timed("unknown service", "ORA-12514", nothing.Ping)
}
