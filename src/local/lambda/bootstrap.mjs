// Runs a Node function: fetches invocations from the Runtime API, calls the
// handler (a promise or a callback), and hands its answer or its error back.
// Part of the local Lambda.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let request = "init";

for (const [name, level] of [["log", "INFO"], ["info", "INFO"], ["warn", "WARN"], ["error", "ERROR"], ["debug", "DEBUG"]]) {
  const plain = console[name].bind(console);
  console[name] = (...words) => plain(`${new Date().toISOString()}\t${request}\t${level}\t`, ...words);
}

function exchange(method, place, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const call = http.request(
      { host, port, agent, method, path: "/2018-06-01/runtime" + place, headers },
      (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(parts).toString() }));
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

function described(error) {
  const known = error instanceof Error;
  return JSON.stringify({
    errorType: known ? error.name : "string",
    errorMessage: known ? error.message : String(error),
    trace: known && error.stack ? error.stack.split("\n") : [],
  });
}

async function load() {
  const root = process.env.LAMBDA_TASK_ROOT;
  const handler = process.env._HANDLER;
  const dot = handler.lastIndexOf(".");
  const base = path.join(root, handler.slice(0, dot));
  const file = [".js", ".mjs", ".cjs"].map((end) => base + end).find((name) => fs.existsSync(name));
  if (!file) throw new Error(`Cannot find module '${handler.slice(0, dot)}'`);
  const module = await import(pathToFileURL(file));
  const name = handler.slice(dot + 1);
  const found = module[name] ?? module.default?.[name];
  if (typeof found !== "function") throw new Error(`${handler} is undefined or not exported`);
  return found;
}

function call(found, event, context) {
  return new Promise((resolve, reject) => {
    const done = (error, answer) => (error ? reject(error) : resolve(answer));
    Object.assign(context, { done, succeed: resolve, fail: reject });
    const promise = found(event, context, done);
    if (promise && typeof promise.then === "function") promise.then(resolve, reject);
    else if (found.length < 3) resolve(promise);
  });
}

let found;
try {
  found = await load();
} catch (error) {
  console.error(error);
  await exchange("POST", "/init/error", described(error), { "Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError" });
  process.exit(1);
}
for (;;) {
  const next = await exchange("GET", "/invocation/next");
  request = next.headers["lambda-runtime-aws-request-id"];
  const deadline = Number(next.headers["lambda-runtime-deadline-ms"]);
  process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] ?? "";
  const context = {
    awsRequestId: request,
    invokedFunctionArn: next.headers["lambda-runtime-invoked-function-arn"],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  try {
    const answer = await call(found, JSON.parse(next.body), context);
    await exchange("POST", `/invocation/${request}/response`, JSON.stringify(answer) ?? "null");
  } catch (error) {
    console.error(error);
    await exchange("POST", `/invocation/${request}/error`, described(error), { "Lambda-Runtime-Function-Error-Type": error?.name ?? "Error" });
  }
}
