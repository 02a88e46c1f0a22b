# SPDX-License-Identifier: Apache-2.0
"""S3 and SQS by boto3: aws_driver.py PORT"""
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SETTINGS = {"endpoint_url": f"http://127.0.0.1:{sys.argv[1]}", "region_name": "eu-west-1", "aws_access_key_id": "AKIASECRETKEY", "aws_secret_access_key": "secret"}
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}), **SETTINGS)
sqs = boto3.client("sqs", **SETTINGS)


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError:
        return
    raise SystemExit("something that should have failed")


sys.stdin.readline()
s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
for i in range(11):
    s3.put_object(Bucket="photos", Key=f"cats/{i}.jpg", Body=b"x" * (1 + i * 10_007))
for i in range(7):
    assert len(s3.get_object(Bucket="photos", Key=f"cats/{i}.jpg")["Body"].read()) == 1 + i * 10_007
for _ in range(3):
    refused(s3.get_object, Bucket="photos", Key="none")
s3.head_object(Bucket="photos", Key="cats/1.jpg")
s3.copy_object(Bucket="photos", Key="copy", CopySource={"Bucket": "photos", "Key": "cats/1.jpg"})
assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 12
s3.list_buckets()
s3.put_object_tagging(Bucket="photos", Key="copy", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
upload = s3.create_multipart_upload(Bucket="photos", Key="big")["UploadId"]
parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="photos", Key="big", UploadId=upload, PartNumber=n, Body=b"p" * 5_300_000)["ETag"]} for n in (1, 2)]
s3.complete_multipart_upload(Bucket="photos", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "big"}, {"Key": "copy"}]})
s3.delete_object(Bucket="photos", Key="cats/0.jpg")

queue = sqs.create_queue(QueueName="orders")["QueueUrl"]
for i in range(13):
    sqs.send_message(QueueUrl=queue, MessageBody=f"secret {i}")
sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(i), "MessageBody": "secret"} for i in range(5)])
got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=3)["Messages"]
for m in got:
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=m["ReceiptHandle"])
refused(sqs.send_message, QueueUrl=queue + "-none", MessageBody="secret")
