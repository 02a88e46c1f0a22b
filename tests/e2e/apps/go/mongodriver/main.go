// SPDX-License-Identifier: Apache-2.0

// mongodriver runs a fixed series of commands through MongoDB's Go driver, then more of them on several connections at once:
// mongodriver PORT < "go". Prints {"what","ns","error"} for each step.
// DRIVER_TLS=FOLDER: over TLS (package overtls).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"plumb.test/apps/overtls"
)

const workers, rounds = 7, 31

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var (
	out = json.NewEncoder(os.Stdout)
	ctx = context.Background()
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "mongodriver:", err)
		os.Exit(1)
	}
}

func code(err error) string {
	var command mongo.CommandError
	var write mongo.WriteException
	switch {
	case errors.As(err, &command):
		return strconv.Itoa(int(command.Code))
	case errors.As(err, &write) && len(write.WriteErrors) > 0:
		return strconv.Itoa(write.WriteErrors[0].Code)
	}
	check(err)
	return ""
}

func timed(what string, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds(), Error: code(err)}
	check(out.Encode(s))
}

func connect(port string, connections uint64) *mongo.Client {
	o := options.Client().ApplyURI("mongodb://127.0.0.1:" + port + "/?directConnection=true&retryWrites=false").SetMaxPoolSize(connections).SetHeartbeatInterval(10 * time.Minute).SetTLSConfig(overtls.Config())
	c, err := mongo.Connect(ctx, o)
	check(err)
	return c
}

func series(c *mongo.Client) {
	orders := c.Database("shop").Collection("orders")
	for i := 0; i < 7; i++ {
		what := "insert"
		if i == 0 {
			what = "connect and insert"
		}
		timed(what, func() error {
			_, err := orders.InsertOne(ctx, bson.D{{Key: "_id", Value: i}, {Key: "card", Value: "secret"}})
			return err
		})
	}
	many := []interface{}{}
	for i := 7; i < 60; i++ {
		many = append(many, bson.D{{Key: "_id", Value: i}, {Key: "card", Value: "secret"}})
	}
	timed("insert many", func() error { _, err := orders.InsertMany(ctx, many); return err })
	timed("batches", func() error {
		cursor, err := orders.Find(ctx, bson.D{{Key: "card", Value: "secret"}}, options.Find().SetBatchSize(23))
		if err != nil {
			return err
		}
		var all []bson.M
		if err = cursor.All(ctx, &all); len(all) != 60 {
			return fmt.Errorf("%d of 60 found", len(all))
		}
		return err
	})
	for i := 0; i < 5; i++ {
		timed("find one", func() error { return orders.FindOne(ctx, bson.D{{Key: "_id", Value: i}}).Err() })
	}
	timed("update", func() error {
		_, err := orders.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: 47}}}}, bson.D{{Key: "$set", Value: bson.D{{Key: "card", Value: "secret 2"}}}})
		return err
	})
	timed("delete", func() error { _, err := orders.DeleteOne(ctx, bson.D{{Key: "_id", Value: 3}}); return err })
	for i := 0; i < 3; i++ {
		timed("duplicate", func() error { _, err := orders.InsertOne(ctx, bson.D{{Key: "_id", Value: 11}}); return err })
	}
	timed("unknown", func() error {
		return c.Database("shop").RunCommand(ctx, bson.D{{Key: "noSuchCommand", Value: "secret"}}).Err()
	})
	timed("last", func() error { return c.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err() })
}

// crowd: as many goroutines as connections, each with documents of its own.
func crowd(c *mongo.Client) {
	var all sync.WaitGroup
	for w := 0; w < workers; w++ {
		all.Add(1)
		go func(w int) {
			defer all.Done()
			mine := c.Database("shop").Collection(fmt.Sprintf("crowd%d", w))
			for i := 0; i < rounds; i++ {
				_, err := mine.InsertOne(ctx, bson.D{{Key: "_id", Value: i}})
				check(err)
				check(mine.FindOne(ctx, bson.D{{Key: "_id", Value: i}}).Err())
			}
		}(w)
	}
	all.Wait()
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c := connect(os.Args[1], 1)
	series(c)
	check(c.Disconnect(ctx))
	if len(os.Args) > 2 {
		c = connect(os.Args[1], workers)
		crowd(c)
		check(c.Disconnect(ctx))
	}
}
