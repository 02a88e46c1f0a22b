// SPDX-License-Identifier: Apache-2.0
//
// S3, and SQS in its older protocol of forms, by AWS's SDK for Go: awsdriver PORT
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "awsdriver:", err)
		os.Exit(1)
	}
}

func refused(err error) {
	if err == nil {
		must(fmt.Errorf("something that should have failed"))
	}
}

func main() {
	base := "http://127.0.0.1:" + os.Args[1]
	keys := credentials.NewStaticCredentialsProvider("AKIASECRETKEY", "secret", "")
	files := s3.New(s3.Options{Region: "us-east-1", Credentials: keys, UsePathStyle: true, RetryMaxAttempts: 1, EndpointResolver: s3.EndpointResolverFromURL(base)})
	queues := sqs.New(sqs.Options{Region: "us-east-1", Credentials: keys, RetryMaxAttempts: 1, EndpointResolver: sqs.EndpointResolverFromURL(base)})
	ctx := context.Background()
	bufio.NewReader(os.Stdin).ReadString('\n')

	bucket := aws.String("photos")
	_, err := files.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket})
	must(err)
	for i := 0; i < 17; i++ {
		_, err := files.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String(fmt.Sprintf("dogs/%d", i)), Body: bytes.NewReader(make([]byte, 1+i*1009))})
		must(err)
	}
	for i := 0; i < 13; i++ {
		got, err := files.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String(fmt.Sprintf("dogs/%d", i))})
		must(err)
		_, err = io.Copy(io.Discard, got.Body)
		must(err)
		got.Body.Close()
	}
	_, err = files.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("none")})
	refused(err)
	_, err = files.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	must(err)
	_, err = files.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("dogs/1")})
	must(err)

	made, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("letters")})
	must(err)
	for i := 0; i < 11; i++ {
		_, err = queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("secret")})
		must(err)
	}
	got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 2})
	must(err)
	for _, m := range got.Messages {
		_, err = queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: m.ReceiptHandle})
		must(err)
	}
	_, err = queues.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: made.QueueUrl, Entries: []sqstypes.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: aws.String("secret")}}})
	must(err)
}
