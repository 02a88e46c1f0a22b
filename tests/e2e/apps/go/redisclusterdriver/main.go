// SPDX-License-Identifier: Apache-2.0

// A cluster through go-redis: redisclusterdriver PORT < "go". Prints {"port","operation"} for each command of interest: which node was asked.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/redis/go-redis/v9"
)

func main() {
	if line, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil || line != "go\n" {
		panic("no go")
	}
	ctx := context.Background()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:" + os.Args[1]}})
	out := json.NewEncoder(os.Stdout)
	check := func(err error) {
		if err != nil && err != redis.Nil {
			panic(err)
		}
	}
	tell := func(key, operation string) {
		node, err := cluster.MasterForKey(ctx, key)
		check(err)
		_, port, err := net.SplitHostPort(node.Options().Addr)
		check(err)
		number, err := strconv.Atoi(port)
		check(err)
		check(out.Encode(map[string]interface{}{"port": number, "operation": operation, "code": "", "to": ""}))
	}

	for i := 0; i < 53; i++ {
		key := fmt.Sprintf("go:%d", i)
		check(cluster.Set(ctx, key, "secret", 0).Err())
		tell(key, "SET")
	}
	pipe := cluster.Pipeline()
	for i := 0; i < 101; i++ {
		key := fmt.Sprintf("go:%d", i)
		pipe.Get(ctx, key)
		tell(key, "GET")
	}
	_, err := pipe.Exec(ctx)
	check(err)
	check(cluster.Close())
}
