// SPDX-License-Identifier: Apache-2.0

// Runs a fixed series of statements through go-mssqldb: tdsdriver PORT < "go". Prints {"what","ns","error"} for each step.
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
	"sync"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

var ctx = context.Background()

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	ns := time.Since(start).Nanoseconds()
	code := ""
	var failed mssql.Error
	if errors.As(err, &failed) {
		code = fmt.Sprint(failed.Number)
	} else if errors.Is(err, context.DeadlineExceeded) {
		code = "cancelled"
	} else {
		check(err)
	}
	line, _ := json.Marshal(map[string]any{"what": what, "ns": ns, "error": code})
	fmt.Println(string(line))
}

func open(password string) *sql.DB {
	db, err := sql.Open("sqlserver", fmt.Sprintf("sqlserver://plumb:%s@127.0.0.1:%s?database=shop&encrypt=disable&packet+size=512&dial+timeout=5", password, os.Args[1]))
	check(err)
	db.SetMaxOpenConns(1)
	return db
}

func count(db *sql.DB, query string, args ...any) int {
	rows, err := db.QueryContext(ctx, query, args...)
	check(err)
	n := 0
	for {
		for rows.Next() {
			n++
		}
		if !rows.NextResultSet() {
			break
		}
	}
	check(rows.Err())
	check(rows.Close())
	return n
}

func expect(what string, is, want int) {
	if is != want {
		panic(fmt.Sprintf("%s: %d, not %d", what, is, want))
	}
}

func main() {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	if strings.TrimSpace(line) != "go" {
		panic(line)
	}
	db := open("sesame")
	exec := func(query string, args ...any) func() error {
		return func() error { _, err := db.ExecContext(ctx, query, args...); return err }
	}
	timed("table", exec("CREATE TABLE notes (id INT, body NVARCHAR(200))"))
	for i := 0; i < 13; i++ {
		timed("insert", exec(fmt.Sprintf("INSERT INTO notes (id, body) VALUES (@p1, @p2) /* %d */", i), i, "secret"))
	}
	for i := 0; i < 17; i++ {
		timed("select", func() error {
			expect("select", count(db, fmt.Sprintf("SELECT id, body FROM [dbo].[notes] WHERE id < @p1 AND body <> N'secret' LIMIT %d", i*11), i), i*11)
			return nil
		})
	}
	timed("wide", func() error { expect("wide", count(db, "SELECT * FROM wide LIMIT 7"), 7); return nil })
	timed("several", func() error {
		expect("several", count(db, "SELECT id FROM notes LIMIT 101; UPDATE notes SET id = 5 /* 3 */; SELECT id FROM orders LIMIT 211"), 312)
		return nil
	})
	timed("procedure", exec("stock.add", sql.Named("note", "secret"), sql.Named("n", 7)))
	timed("no procedure", exec("no_such_procedure", 1))
	timed("no table", exec("FAIL 208"))
	timed("no table again", exec("FAIL 208 -- @p1", 1))
	timed("slow", exec("WAIT 0.3"))
	timed("cancelled", func() error {
		short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		defer stop()
		_, err := db.ExecContext(short, "WAIT 20")
		return err
	})
	timed("transaction", func() error {
		tx, err := db.BeginTx(ctx, nil)
		check(err)
		_, err = tx.ExecContext(ctx, "DELETE FROM notes WHERE body = 'secret' /* 23 */")
		check(err)
		check(tx.Commit())
		tx, err = db.BeginTx(ctx, nil)
		check(err)
		return tx.Rollback()
	})
	timed("prepared", func() error {
		statement, err := db.PrepareContext(ctx, "SELECT body FROM notes WHERE id = @p1 LIMIT 3")
		check(err)
		for i := 0; i < 5; i++ {
			rows, err := statement.QueryContext(ctx, i)
			check(err)
			for rows.Next() {
			}
			check(rows.Close())
		}
		return statement.Close()
	})
	check(db.Close())

	/* Some at once, each on a connection of its own. */
	var group sync.WaitGroup
	for i := 0; i < 5; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			own := open("sesame")
			for k := 0; k < 101; k++ {
				expect("many", count(own, fmt.Sprintf("SELECT id, 'secret' FROM many LIMIT %d", k)), k)
			}
			check(own.Close())
		}()
	}
	group.Wait()
	refused := open("wrong")
	timed("refused", func() error { return refused.PingContext(ctx) })
}
