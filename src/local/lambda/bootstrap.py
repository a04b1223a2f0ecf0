# Runs a Python function: fetches invocations from the Runtime API, calls the
# handler, and hands its answer or its error back. Part of the local Lambda.
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = "/2018-06-01/runtime"
CONNECTION = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        client = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = json.loads(client) if client else None
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))


def exchange(method, path, body=None, headers=None):
    CONNECTION.request(method, API + path, body, headers or {})
    answer = CONNECTION.getresponse()
    return answer.headers, answer.read()


def described(error):
    return json.dumps({
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__)[1:],
    })


def load():
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, _, function = os.environ["_HANDLER"].rpartition(".")
    return getattr(importlib.import_module(module.replace("/", ".")), function)


def main():
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("[%(levelname)s]\t%(asctime)s\t%(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        function = load()
    except BaseException as error:
        traceback.print_exc()
        kind = {"Lambda-Runtime-Function-Error-Type": "Runtime." + type(error).__name__}
        exchange("POST", "/init/error", described(error), kind)
        sys.exit(1)
    while True:
        headers, event = exchange("GET", "/invocation/next")
        request = headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            answer = json.dumps(function(json.loads(event), Context(headers)))
            exchange("POST", f"/invocation/{request}/response", answer.encode())
        except Exception as error:
            traceback.print_exc()
            kind = {"Lambda-Runtime-Function-Error-Type": type(error).__name__}
            exchange("POST", f"/invocation/{request}/error", described(error).encode(), kind)


main()
