"""The loop of a Lambda runtime, as small as it can be, so that the Python functions are woken and
timed by the same Runtime API as the Rust one. Lambda's own (awslambdaric) does more."""

import http.client
import json
import os

from baseline import handler

INVOCATION = "/2018-06-01/runtime/invocation"
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", f"{INVOCATION}/next")
    answer = api.getresponse()
    event, request = json.loads(answer.read()), answer.headers["lambda-runtime-aws-request-id"]
    try:
        body, path = handler(event, None), "response"
    except Exception as error:
        body, path = {"errorType": type(error).__name__, "errorMessage": str(error)}, "error"
    api.request("POST", f"{INVOCATION}/{request}/{path}", json.dumps(body))
    api.getresponse().read()
