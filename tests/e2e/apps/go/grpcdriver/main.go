// SPDX-License-Identifier: Apache-2.0

// grpcdriver makes a plan of calls to grpcd over one connection, several at once: grpcdriver PORT STREAMS < plan
//
// The plan is JSON lines {"method","number","count","timeout_ms"} (count: messages to send, all of them the number), ended by an empty line and a line
// "go". GRPC_TLS=FOLDER: over TLS, to the certificate there. One line of JSON a call comes out: {"method","number","code","received"}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type call struct {
	Method    string `json:"method"`
	Number    int64  `json:"number"`
	Count     int    `json:"count"`
	TimeoutMs int    `json:"timeout_ms"`
}

type result struct {
	Method   string `json:"method"`
	Number   int64  `json:"number"`
	Code     uint32 `json:"code"`
	Received int    `json:"received"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpcdriver:", err)
		os.Exit(1)
	}
}

func stream(ctx context.Context, conn *grpc.ClientConn, q call) (int, error) {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: q.Method != "Sum", ClientStreams: q.Method != "List"}, "/plumb.test.Shop/"+q.Method)
	if err != nil {
		return 0, err
	}
	received := 0
	for i := 0; i < q.Count; i++ {
		if err := s.SendMsg(wrapperspb.Int64(q.Number)); err != nil {
			return received, err
		}
		if q.Method == "Echo" { // by turns
			if err := s.RecvMsg(new(wrapperspb.Int64Value)); err != nil {
				return received, err
			}
			received++
		}
	}
	if err := s.CloseSend(); err != nil {
		return received, err
	}
	for {
		err := s.RecvMsg(new(wrapperspb.Int64Value))
		if err == io.EOF {
			return received, nil
		}
		if err != nil {
			return received, err
		}
		received++
	}
}

func do(conn *grpc.ClientConn, q call) result {
	ctx := context.Background()
	if q.TimeoutMs > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(q.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	var err error
	received := 0
	if q.Method == "List" || q.Method == "Sum" || q.Method == "Echo" {
		received, err = stream(ctx, conn, q)
	} else {
		err = conn.Invoke(ctx, "/plumb.test.Shop/"+q.Method, wrapperspb.Int64(q.Number), new(wrapperspb.Int64Value))
		if err == nil {
			received = 1
		}
	}
	return result{q.Method, q.Number, uint32(status.Code(err)), received}
}

func main() {
	streams, err := strconv.Atoi(os.Args[2])
	check(err)
	var plan []call
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() != "" {
		var q call
		check(json.Unmarshal(input.Bytes(), &q))
		plan = append(plan, q)
	}
	if !input.Scan() || input.Text() != "go" {
		check(fmt.Errorf("no line \"go\""))
	}
	host, transport := "127.0.0.1", insecure.NewCredentials()
	if folder := os.Getenv("GRPC_TLS"); folder != "" {
		host = "localhost"
		transport, err = credentials.NewClientTLSFromFile(folder+"/cert.pem", "")
		check(err)
	}
	conn, err := grpc.Dial(host+":"+os.Args[1], grpc.WithTransportCredentials(transport))
	check(err)
	results := make([]result, len(plan))
	var wait sync.WaitGroup
	for s := 0; s < streams; s++ {
		wait.Add(1)
		go func(s int) {
			defer wait.Done()
			for i := s; i < len(plan); i += streams {
				results[i] = do(conn, plan[i])
			}
		}(s)
	}
	wait.Wait()
	check(conn.Close())
	out := json.NewEncoder(os.Stdout)
	for _, r := range results {
		check(out.Encode(r))
	}
}
