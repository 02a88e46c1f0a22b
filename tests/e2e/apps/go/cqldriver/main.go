// SPDX-License-Identifier: Apache-2.0

// cqldriver runs a fixed series of CQL statements through gocql, with Snappy: cqldriver PORT VERSION < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"` // the server's code
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cqldriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var refused gocql.RequestError
	if errors.As(err, &refused) {
		s.Error = fmt.Sprintf("0x%04x", refused.Code())
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
	port, err := strconv.Atoi(os.Args[1])
	check(err)
	version, err := strconv.Atoi(os.Args[2])
	check(err)
	cluster := gocql.NewCluster("127.0.0.1")
	cluster.Port = port
	cluster.ProtoVersion = version
	cluster.Compressor = gocql.SnappyCompressor{}
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: "cassandra", Password: "cassandra"}
	cluster.NumConns = 1 // what one connection has prepared, another one does not
	cluster.Consistency = gocql.LocalQuorum
	cluster.Timeout = time.Minute
	cluster.ConnectTimeout = time.Minute
	cluster.DisableInitialHostLookup = true
	cluster.Events.DisableNodeStatusEvents = true
	cluster.Events.DisableTopologyEvents = true
	cluster.Events.DisableSchemaEvents = true
	cluster.MaxWaitSchemaAgreement = time.Millisecond
	session, err := cluster.CreateSession()
	check(err)
	exec := func(text string, values ...any) func() error {
		return func() error { return session.Query(text, values...).Exec() }
	}
	space := "go" + os.Args[2]
	timed("keyspace", exec("CREATE KEYSPACE IF NOT EXISTS "+space+" WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"))
	timed("table", exec("CREATE TABLE "+space+".notes (id int PRIMARY KEY, body text)"))
	insert, one := "INSERT INTO "+space+".notes (id, body) VALUES (?, ?)", "SELECT body FROM "+space+".notes WHERE id = ?"
	for i := 0; i < 13; i++ {
		timed("insert", exec(insert, i, fmt.Sprintf("secret %d", i))) // prepares first
	}
	timed("no table", exec("SELECT * FROM "+space+".no_such_table WHERE id = 42")) // refused when it is prepared
	timed("table again", exec("CREATE TABLE "+space+".notes (id int PRIMARY KEY, body text)"))
	batch := session.NewBatch(gocql.LoggedBatch)
	for i := 100; i < 105; i++ {
		batch.Query(insert, i, "secret in a batch")
	}
	timed("batch", func() error { return session.ExecuteBatch(batch) })
	var body string
	timed("select", func() error { return session.Query(one, 7).Consistency(gocql.One).Scan(&body) })
	if body != "secret 7" {
		check(errors.New("not what was written: " + body))
	}
	var wait sync.WaitGroup
	for worker := 0; worker < 11; worker++ {
		wait.Add(1)
		go func(worker int) {
			defer wait.Done()
			for i := 0; i < 41; i++ {
				check(session.Query(insert, 1000+41*worker+i, "secret of many").Exec())
			}
		}(worker)
	}
	wait.Wait()
	rows := 0
	timed("pages", func() error {
		iter := session.Query("SELECT id FROM " + space + ".notes").PageSize(100).Iter()
		for id := 0; iter.Scan(&id); rows++ {
		}
		return iter.Close()
	})
	if rows != 13+5+11*41 {
		check(fmt.Errorf("%d rows", rows))
	}
	session.Close()
}
