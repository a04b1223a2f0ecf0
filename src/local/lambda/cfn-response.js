// Answers the request of a custom resource. CloudFormation gives this module to functions
// whose code is a text in the template. Part of the local Lambda.
const http = require("http");
const https = require("https");

exports.SUCCESS = "SUCCESS";
exports.FAILED = "FAILED";

exports.send = (event, context, responseStatus, responseData, physicalResourceId, noEcho) => {
  const { StackId, RequestId, LogicalResourceId } = event;
  const body = JSON.stringify({
    StackId,
    RequestId,
    LogicalResourceId,
    Status: responseStatus,
    Reason: `See the details in CloudWatch Log Stream: ${context.logStreamName}`,
    PhysicalResourceId: physicalResourceId || context.logStreamName,
    NoEcho: noEcho || false,
    Data: responseData,
  });
  const url = new URL(event.ResponseURL);
  const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
  const client = url.protocol === "https:" ? https : http;
  const call = client.request(url, { method: "PUT", headers }, (answer) => {
    answer.resume();
    answer.on("end", () => context.done());
  });
  call.on("error", (error) => {
    // Nobody is there who could be told; the stack waits until its time is up.
    console.log(`the answer to CloudFormation was not taken: ${error}`);
    context.done();
  });
  call.end(body);
};
