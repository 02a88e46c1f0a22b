// SPDX-License-Identifier: Apache-2.0

// couchbased is one node of Couchbase for tests: couchbased FILE. Writes its key-value port into FILE when it serves. Bucket shop with a collection
// parcels.small; user plumb with password sesame. A get of a key that begins with "slow" lasts 97 ms, while what is behind it is answered; the first
// get of each key that begins with "moved" is told that another node has it.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/couchbase/gocbcore/v9/memd"
	"github.com/couchbaselabs/gocaves/mock"
	"github.com/couchbaselabs/gocaves/mock/mockauth"
	"github.com/couchbaselabs/gocaves/mock/mockimpl"
)

const delay = 97 * time.Millisecond

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "couchbased:", err)
		os.Exit(1)
	}
}

var (
	movedLock sync.Mutex
	moved     = map[string]bool{}
)

func firstOf(key string) bool {
	movedLock.Lock()
	defer movedLock.Unlock()
	first := !moved[key]
	moved[key] = true
	return first
}

func hook(source mock.KvClient, pak *memd.Packet, _ time.Time, next func()) {
	key := string(pak.Key)
	switch {
	case pak.Command == memd.CmdGet && strings.HasPrefix(key, "slow"):
		go func() {
			time.Sleep(delay)
			next()
		}()
	case pak.Command == memd.CmdGet && strings.HasPrefix(key, "moved") && firstOf(key):
		check(source.WritePacket(&memd.Packet{Magic: memd.CmdMagicRes, Command: pak.Command, Opaque: pak.Opaque, Status: memd.StatusNotMyVBucket}))
	default:
		next()
	}
}

func main() {
	log.SetOutput(io.Discard)
	cluster, err := mockimpl.NewCluster(mock.NewClusterOptions{InitialNode: mock.NewNodeOptions{}})
	check(err)
	bucket, err := cluster.AddBucket(mock.NewBucketOptions{Name: "shop", Type: mock.BucketTypeCouchbase})
	check(err)
	_, err = bucket.CollectionManifest().AddScope("parcels")
	check(err)
	_, err = bucket.CollectionManifest().AddCollection("parcels", "small", 0)
	check(err)
	check(cluster.Users().UpsertUser(mockauth.UpsertUserOptions{Username: "plumb", Password: "sesame", Roles: []string{"admin"}}))
	cluster.KvInHooks().Add(hook)
	port := fmt.Sprintln(cluster.Nodes()[0].KvService().ListenPort())
	check(os.WriteFile(os.Args[1]+".new", []byte(port), 0o644))
	check(os.Rename(os.Args[1]+".new", os.Args[1]))
	select {}
}
