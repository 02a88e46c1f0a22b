// SPDX-License-Identifier: Apache-2.0

// pgdriver runs a fixed series of PostgreSQL queries through pgx: pgdriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"` // SQLSTATE
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgdriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		s.Error = refused.Code
	} else {
		check(err)
	}
	check(out.Encode(s))
}

func batch(ctx context.Context, c *pgx.Conn, good int, bad bool) error {
	b := &pgx.Batch{}
	for i := 0; i < good; i++ {
		b.Queue("select $1::int + 1000", i)
	}
	if bad {
		b.Queue("select 1 / $1::int", 0)
		b.Queue("select $1::int + 1000", 99)
	}
	return c.SendBatch(ctx, b).Close()
}

func main() {
	ctx := context.Background()
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	config, err := pgx.ParseConfig(fmt.Sprintf("postgres://plumb@127.0.0.1:%s/postgres?sslmode=disable", os.Args[1]))
	check(err)
	c, err := pgx.ConnectConfig(ctx, config)
	check(err)
	defer c.Close(ctx)
	timed("simple", func() error {
		_, err := c.Exec(ctx, "select 'simple', pg_sleep(0.02)", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	timed("prepare", func() error {
		_, err := c.Prepare(ctx, "twice", "select $1::int * 2 as twice")
		return err
	})
	for i := 0; i < 5; i++ {
		timed("prepared", func() error {
			var n int
			return c.QueryRow(ctx, "twice", i).Scan(&n)
		})
	}
	timed("unnamed", func() error {
		_, err := c.Exec(ctx, "select $1::text", pgx.QueryExecModeExec, "one round trip")
		return err
	})
	timed("error", func() error {
		_, err := c.Exec(ctx, "select * from no_such_table where id = 42", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	timed("batch", func() error { return batch(ctx, c, 7, false) })
	timed("bad batch", func() error { return batch(ctx, c, 3, true) })
	timed("last", func() error {
		_, err := c.Exec(ctx, "select 'last'", pgx.QueryExecModeSimpleProtocol)
		return err
	})
}
