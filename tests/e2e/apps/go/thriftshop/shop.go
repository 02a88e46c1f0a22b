// SPDX-License-Identifier: Apache-2.0

// Package thriftshop is the service of apps/thrift_shop.py, written by hand for both ends.
package thriftshop

import (
	"context"
	"fmt"

	"github.com/apache/thrift/lib/go/thrift"
)

// Factories has the transport and protocol that go by a name.
func Factories(way string) (thrift.TTransportFactory, thrift.TProtocolFactory) {
	buffered := thrift.NewTBufferedTransportFactory(4096)
	framed := thrift.NewTFramedTransportFactoryConf(buffered, nil)
	compact := thrift.THeaderProtocolCompact
	switch way {
	case "framed":
		return framed, thrift.NewTBinaryProtocolFactoryConf(nil)
	case "buffered":
		return buffered, thrift.NewTBinaryProtocolFactoryConf(nil)
	case "compact":
		return framed, thrift.NewTCompactProtocolFactoryConf(nil)
	case "buffered-compact":
		return buffered, thrift.NewTCompactProtocolFactoryConf(nil)
	case "zlib": // of what comes
		return thrift.NewTHeaderTransportFactoryConf(buffered, nil), thrift.NewTHeaderProtocolFactoryConf(nil)
	case "header":
		c := &thrift.TConfiguration{THeaderProtocolID: &compact}
		return thrift.NewTHeaderTransportFactoryConf(buffered, c), thrift.NewTHeaderProtocolFactoryConf(c)
	}
	panic("no such way: " + way)
}

// SoldOut is an exception that buy declares.
type SoldOut struct{ Why string }

func (e *SoldOut) Error() string { return "SoldOut " + e.Why }

// Fields are those of a struct from number First on; a nil one is absent.
type Fields struct {
	First  int16
	Values []interface{}
}

func check(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func writeValue(ctx context.Context, p thrift.TProtocol, id int16, v interface{}) error {
	var err error
	begin := func(t thrift.TType) { err = p.WriteFieldBegin(ctx, "", t, id) }
	switch v := v.(type) {
	case int32:
		begin(thrift.I32)
		return check(err, p.WriteI32(ctx, v))
	case string:
		begin(thrift.STRING)
		return check(err, p.WriteString(ctx, v))
	case []string:
		begin(thrift.LIST)
		err = check(err, p.WriteListBegin(ctx, thrift.STRING, len(v)))
		for _, s := range v {
			err = check(err, p.WriteString(ctx, s))
		}
		return err
	case *SoldOut:
		begin(thrift.STRUCT)
		return check(err, (&Fields{1, []interface{}{v.Why}}).Write(ctx, p))
	}
	return fmt.Errorf("no type for %v", v)
}

// Write is of thrift.TStruct.
func (f *Fields) Write(ctx context.Context, p thrift.TProtocol) error {
	err := p.WriteStructBegin(ctx, "")
	for i, v := range f.Values {
		if v != nil {
			err = check(err, writeValue(ctx, p, f.First+int16(i), v), p.WriteFieldEnd(ctx))
		}
	}
	return check(err, p.WriteFieldStop(ctx), p.WriteStructEnd(ctx))
}

func readValue(ctx context.Context, p thrift.TProtocol, t thrift.TType) (interface{}, error) {
	switch t {
	case thrift.I32:
		return p.ReadI32(ctx)
	case thrift.STRING:
		return p.ReadString(ctx)
	case thrift.LIST:
		_, n, err := p.ReadListBegin(ctx)
		if err != nil {
			return nil, err
		}
		list := make([]string, n)
		for i := range list {
			if list[i], err = p.ReadString(ctx); err != nil {
				return nil, err
			}
		}
		return list, nil
	case thrift.STRUCT:
		f := Fields{First: 1}
		if err := f.Read(ctx, p); err != nil {
			return nil, err
		}
		return &SoldOut{f.Values[0].(string)}, nil
	}
	return nil, fmt.Errorf("type %v", t)
}

// Read is of thrift.TStruct.
func (f *Fields) Read(ctx context.Context, p thrift.TProtocol) error {
	if _, err := p.ReadStructBegin(ctx); err != nil {
		return err
	}
	for {
		_, t, id, err := p.ReadFieldBegin(ctx)
		if err != nil || t == thrift.STOP {
			return err
		}
		v, err := readValue(ctx, p, t)
		if err != nil {
			return err
		}
		for int(id-f.First) >= len(f.Values) {
			f.Values = append(f.Values, nil)
		}
		f.Values[id-f.First] = v
	}
}
