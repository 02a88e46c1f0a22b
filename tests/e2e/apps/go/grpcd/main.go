// SPDX-License-Identifier: Apache-2.0

// grpcd serves plumb.test.Shop: grpcd PORT. GRPC_TLS=FOLDER: over TLS, with the certificate there. Messages are google.protobuf.Int64Value; what is asked for is the number:
//
//	Price (unary)             answers the number; a number n of 1000 to 1016 fails with status n - 1000; 2000 waits until the client gives up
//	List (server streaming)   answers 1 … n
//	Sum (client streaming)    answers the sum of all
//	Echo (both)               answers each at once
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func price(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(wrapperspb.Int64Value)
	if err := decode(in); err != nil {
		return nil, err
	}
	switch n := in.Value; {
	case n > 1000 && n <= 1016:
		return nil, status.Errorf(codes.Code(n-1000), "no price for 'jam' at 50%% off: %d", n)
	case n == 2000:
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return in, nil
}

func list(_ interface{}, stream grpc.ServerStream) error {
	in := new(wrapperspb.Int64Value)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	for i := int64(1); i <= in.Value; i++ {
		if err := stream.SendMsg(wrapperspb.Int64(i)); err != nil {
			return err
		}
	}
	return nil
}

func sum(_ interface{}, stream grpc.ServerStream) error {
	total := int64(0)
	for {
		in := new(wrapperspb.Int64Value)
		err := stream.RecvMsg(in)
		if err == io.EOF {
			return stream.SendMsg(wrapperspb.Int64(total))
		}
		if err != nil {
			return err
		}
		total += in.Value
	}
}

func echo(_ interface{}, stream grpc.ServerStream) error {
	for {
		in := new(wrapperspb.Int64Value)
		err := stream.RecvMsg(in)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = stream.SendMsg(in)
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var options []grpc.ServerOption
	if folder := os.Getenv("GRPC_TLS"); folder != "" {
		pair, err := credentials.NewServerTLSFromFile(folder+"/cert.pem", folder+"/key.pem")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		options = append(options, grpc.Creds(pair))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "plumb.test.Shop",
		HandlerType: (*interface{})(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Price", Handler: price}},
		Streams: []grpc.StreamDesc{
			{StreamName: "List", Handler: list, ServerStreams: true},
			{StreamName: "Sum", Handler: sum, ClientStreams: true},
			{StreamName: "Echo", Handler: echo, ServerStreams: true, ClientStreams: true},
		},
	}, struct{}{})
	fmt.Fprintln(os.Stderr, server.Serve(listener))
	os.Exit(1)
}
