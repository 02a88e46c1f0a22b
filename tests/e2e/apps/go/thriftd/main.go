// SPDX-License-Identifier: Apache-2.0

// thriftd serves apps/thrift_shop.py's methods with Thrift's simple server: thriftd PORT WAY [SERVICE]. With a name of a service it is multiplexed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/apache/thrift/lib/go/thrift"

	. "plumb.test/apps/thriftshop"
)

type method struct {
	name string
	run  func(args []interface{}) (interface{}, error)
}

func (m method) Process(ctx context.Context, seq int32, in, out thrift.TProtocol) (bool, thrift.TException) {
	args := Fields{First: 1}
	if err := args.Read(ctx, in); err != nil {
		return false, thrift.WrapTException(err)
	}
	in.ReadMessageEnd(ctx)
	if m.run == nil {
		return true, nil
	}
	value, err := m.run(args.Values)
	var soldOut *SoldOut
	if err != nil && !errors.As(err, &soldOut) {
		x := thrift.NewTApplicationException(thrift.INTERNAL_ERROR, "Internal error: "+err.Error())
		out.WriteMessageBegin(ctx, m.name, thrift.EXCEPTION, seq)
		x.Write(ctx, out)
	} else {
		result := Fields{First: 0, Values: []interface{}{value}}
		if soldOut != nil {
			result.Values = append(result.Values, soldOut)
		}
		out.WriteMessageBegin(ctx, m.name, thrift.REPLY, seq)
		result.Write(ctx, out)
	}
	out.WriteMessageEnd(ctx)
	return true, thrift.WrapTException(out.Flush(ctx))
}

// processor is what Thrift's compiler makes of a service.
type processor map[string]thrift.TProcessorFunction

func (p processor) ProcessorMap() map[string]thrift.TProcessorFunction         { return p }
func (p processor) AddToProcessorMap(name string, f thrift.TProcessorFunction) { p[name] = f }
func (p processor) add(name string, run func(args []interface{}) (interface{}, error)) {
	p[name] = method{name, run}
}

func (p processor) Process(ctx context.Context, in, out thrift.TProtocol) (bool, thrift.TException) {
	name, _, seq, err := in.ReadMessageBegin(ctx)
	if err != nil {
		return false, thrift.WrapTException(err)
	}
	if f, ok := p[name]; ok {
		return f.Process(ctx, seq, in, out)
	}
	in.Skip(ctx, thrift.STRUCT)
	in.ReadMessageEnd(ctx)
	x := thrift.NewTApplicationException(thrift.UNKNOWN_METHOD, "Unknown function "+name)
	out.WriteMessageBegin(ctx, name, thrift.EXCEPTION, seq)
	x.Write(ctx, out)
	out.WriteMessageEnd(ctx)
	out.Flush(ctx)
	return true, nil // so that the connection lives on
}

func shop() processor {
	p := processor{}
	p.add("add", func(a []interface{}) (interface{}, error) { return a[0].(int32) + a[1].(int32), nil })
	p.add("echo", func(a []interface{}) (interface{}, error) { return a[0], nil })
	p.add("list", func(a []interface{}) (interface{}, error) {
		list := []string{}
		for i := int32(0); i < a[0].(int32); i++ {
			list = append(list, fmt.Sprintf("secret %d", i))
		}
		return list, nil
	})
	p.add("ping", func(a []interface{}) (interface{}, error) { return nil, nil })
	p.add("buy", func(a []interface{}) (interface{}, error) {
		if a[0] == "nothing left" {
			return nil, &SoldOut{Why: "secret reason"}
		}
		return nil, nil
	})
	p.add("fail", func(a []interface{}) (interface{}, error) { return nil, errors.New("secret failure") })
	p.add("slow", func(a []interface{}) (interface{}, error) {
		time.Sleep(time.Duration(a[0].(int32)) * time.Millisecond)
		return "slept", nil
	})
	p.add("note", nil)
	return p
}

func main() {
	socket, err := thrift.NewTServerSocket("127.0.0.1:" + os.Args[1])
	if err != nil {
		panic(err)
	}
	var p thrift.TProcessor = shop()
	if len(os.Args) > 3 {
		m := thrift.NewTMultiplexedProcessor()
		m.RegisterProcessor(os.Args[3], p)
		p = m
	}
	transport, protocol := Factories(os.Args[2])
	panic(thrift.NewTSimpleServer4(p, socket, transport, protocol).Serve())
}
