// SPDX-License-Identifier: Apache-2.0

// Runs a fixed series of statements through clickhouse-go: clickhousedriver PORT COMPRESSION DATABASE < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
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
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		code = fmt.Sprint(exception.Code)
	} else {
		check(err)
	}
	line, _ := json.Marshal(map[string]any{"what": what, "ns": ns, "error": code})
	fmt.Println(string(line))
}

func open(password string) driver.Conn {
	compression := map[string]clickhouse.CompressionMethod{"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD}[os.Args[2]]
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{"127.0.0.1:" + os.Args[1]}, Auth: clickhouse.Auth{Database: "system", Username: "plumb", Password: password}, MaxOpenConns: 1, MaxIdleConns: 1,
		Compression: &clickhouse.Compression{Method: compression},
	})
	check(err)
	return conn
}

func count(conn driver.Conn, query string) int {
	rows, err := conn.Query(ctx, query)
	check(err)
	n := 0
	for rows.Next() {
		n++
	}
	check(rows.Err())
	check(rows.Close())
	return n
}

func expect(what string, is, want int) error {
	if is != want {
		panic(fmt.Sprintf("%s: %d, not %d", what, is, want))
	}
	return nil
}

func insert(conn driver.Conn, table string, from, n int) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table+" (id, body)")
	if err != nil {
		return err
	}
	for i := 0; i < n; i++ {
		check(batch.Append(uint32(from+i), fmt.Sprintf("secret %d", from+i)))
	}
	return batch.Send()
}

func main() {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	if strings.TrimSpace(line) != "go" {
		panic(line)
	}
	space := os.Args[3]
	conn, table := open("sesame"), space+".notes"
	exec := func(query string) func() error { return func() error { return conn.Exec(ctx, query) } }
	timed("ping", func() error { return conn.Ping(ctx) })
	timed("database", exec("CREATE DATABASE "+space))
	timed("table", exec("CREATE TABLE "+table+" (id UInt32, body String) ENGINE = Memory"))
	for i := 0; i < 13; i++ {
		timed("insert", func() error { return insert(conn, table, i*3, 3) })
	}
	for i := 0; i < 17; i++ {
		timed("select", func() error {
			return expect("select", count(conn, fmt.Sprintf("SELECT id, body FROM %s WHERE id < %d AND body != 'secret'", table, i)), i)
		})
	}
	timed("batch", func() error { return insert(conn, table, 1000, 5003) })
	timed("batch back", func() error { return expect("batch", count(conn, "SELECT id, body FROM "+table+" WHERE id >= 1000"), 5003) })
	timed("no table", exec("SELECT * FROM "+space+".no_such_table WHERE id = 'secret'"))
	timed("slow", func() error { return expect("slow", count(conn, "SELECT sleep(0.3), 'secret'"), 1) })
	check(conn.Close())

	/* Some at once, each on a connection of its own. */
	var group sync.WaitGroup
	for i := 0; i < 5; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			own := open("sesame")
			for k := 0; k < 101; k++ {
				expect("many", count(own, fmt.Sprintf("SELECT number, 'secret' FROM system.numbers LIMIT %d", k)), k)
			}
			check(own.Close())
		}()
	}
	group.Wait()
	refused := open("not sesame")
	timed("refused", func() error { return refused.Ping(ctx) })
}
