// SPDX-License-Identifier: Apache-2.0

// mysqldriver runs a fixed series of MySQL queries through go-sql-driver: mysqldriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"` // the server's number
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "mysqldriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		s.Error = fmt.Sprint(refused.Number)
	} else {
		check(err)
	}
	check(out.Encode(s))
}

// Reads all rows of all results.
func drain(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	for {
		for rows.Next() {
		}
		if !rows.NextResultSet() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

func main() {
	ctx := context.Background()
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	db, err := sql.Open("mysql", fmt.Sprintf("plumb:sesame@tcp(127.0.0.1:%s)/shop?multiStatements=true", os.Args[1]))
	check(err)
	c, err := db.Conn(ctx)
	check(err)
	exec := func(query string, args ...any) func() error {
		return func() error { _, err := c.ExecContext(ctx, query, args...); return err }
	}
	query := func(query string, args ...any) func() error {
		return func() error { return drain(c.QueryContext(ctx, query, args...)) }
	}
	timed("create", exec("CREATE TEMPORARY TABLE notes (id int PRIMARY KEY, body text)"))
	statement, err := c.PrepareContext(ctx, "INSERT INTO notes (id, body) VALUES (?, ?)")
	check(err)
	for i := 0; i < 7; i++ {
		timed("insert", func() error { _, err := statement.ExecContext(ctx, i, fmt.Sprintf("secret %d", i)); return err })
	}
	timed("duplicate", func() error { _, err := statement.ExecContext(ctx, 3, "secret again"); return err })
	check(statement.Close())
	for i := 0; i < 5; i++ {
		timed("select", query("SELECT id, body FROM notes WHERE id = ?", i)) // prepares, executes, closes
	}
	timed("slow", query("SELECT SLEEP(0.05)"))
	timed("many rows", query("SELECT seq, REPEAT('x', 100) FROM seq_1_to_3001"))
	timed("many prepared rows", query("SELECT seq, REPEAT('x', 100) FROM seq_1_to_3001 WHERE seq > ?", 10))
	timed("no table", query("SELECT * FROM no_such_table WHERE id = 42"))
	timed("no table prepared", query("SELECT * FROM no_such_table WHERE id = ?", 42))
	timed("several", query("SELECT id FROM notes; UPDATE notes SET body = 'other' WHERE id < 3; SELECT 2 UNION SELECT 3"))
	timed("ping", func() error { return c.PingContext(ctx) })
	timed("last", query("SELECT 'last'"))
	check(c.Close())
	check(db.Close())
}
