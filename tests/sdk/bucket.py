"""A bucket at moto's S3 server, for a test: says where it is and with which keys, and ends when its input closes.

Only these keys are let in: moto looks at no signature until so many actions were carried out.
"""

import os
import sys

# What is done below without keys that moto knows.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    anyone = {"endpoint_url": url, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    iam = boto3.client("iam", **anyone)
    iam.create_user(UserName="picgate")
    iam.put_user_policy(UserName="picgate", PolicyName="all", PolicyDocument=EVERYTHING)
    key = iam.create_access_key(UserName="picgate")["AccessKey"]
    boto3.client("s3", **anyone).create_bucket(Bucket="pictures")
    print("ready", url, key["AccessKeyId"], key["SecretAccessKey"], flush=True)
    sys.stdin.read()
    server.stop()


main()
