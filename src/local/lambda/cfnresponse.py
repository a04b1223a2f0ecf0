# Answers the request of a custom resource. CloudFormation gives this module to functions
# whose code is a text in the template. Part of the local Lambda.
import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer["Status"] = responseStatus
    answer["Reason"] = reason or f"See the details in CloudWatch Log Stream: {context.log_stream_name}"
    answer["PhysicalResourceId"] = physicalResourceId or context.log_stream_name
    answer["NoEcho"] = noEcho
    answer["Data"] = responseData
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    try:
        urllib.request.urlopen(request).close()
    except OSError as error:
        # Nobody is there who could be told; the stack waits until its time is up.
        print(f"the answer to CloudFormation was not taken: {error}")
