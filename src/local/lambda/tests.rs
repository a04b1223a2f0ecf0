//! Functions that really run: small scripts, made by the tests.
//!
//! They run Python and shell, so they need `python3` on the machine, as a user of
//! Python functions does. Fake ports witness what functions log, count and send.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::ports::{LogStreams, Metrics, Queues};
use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{
    Account, Body, BoxFuture, Clock, Cloud, Fault, Operation, Operations, Protocol, Reply,
    ResourceRequest, Service, Store, Timestamp,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::archive;

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

/// What functions wrote, counted and sent.
#[derive(Default)]
struct Witness {
    lines: Mutex<Vec<(String, String, String)>>,
    metrics: Mutex<Vec<(String, f64)>>,
    sent: Mutex<Vec<(String, String)>>,
}

impl Witness {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|(.., line)| line.clone()).collect()
    }

    fn sum(&self, metric: &str) -> f64 {
        let metrics = self.metrics.lock().unwrap();
        metrics.iter().filter(|(name, _)| name == metric).map(|(_, value)| value).sum()
    }
}

impl LogStreams for Witness {
    fn write(&self, group: &str, stream: &str, lines: &[(Timestamp, String)]) {
        let mut all = self.lines.lock().unwrap();
        for (_, line) in lines {
            all.push((group.to_owned(), stream.to_owned(), line.clone()));
        }
    }
}

impl Metrics for Witness {
    fn put(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64, _: &str) {
        assert_eq!((namespace, dimensions[0].0), ("AWS/Lambda", "FunctionName"));
        self.metrics.lock().unwrap().push((name.to_owned(), value));
    }

    fn set_alarm_state(&self, _: &str, _: &str, _: &str) -> Result<(), Fault> {
        Ok(())
    }
}

impl Queues for Witness {
    fn send<'a>(&'a self, queue: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        self.sent.lock().unwrap().push((queue.to_owned(), body.to_owned()));
        Box::pin(async { Ok(String::new()) })
    }
}

fn lambda() -> (Arc<Cloud>, Arc<Witness>) {
    let (cloud, witness) = (cloud(), Arc::new(Witness::default()));
    crate::install(&cloud).unwrap();
    cloud.ports.serve_log_streams(witness.clone());
    cloud.ports.serve_metrics(witness.clone());
    cloud.ports.serve_queues(witness.clone());
    (cloud, witness)
}

fn zip(name: &str, text: &str) -> String {
    STANDARD.encode(archive::pack(&[(name, text)]).unwrap())
}

fn python(name: &str, code: &str) -> Value {
    json!({
        "FunctionName": name, "Runtime": "python3.11", "Handler": "index.handler", "Role": ROLE,
        "Timeout": 30, "Code": {"ZipFile": zip("index.py", code)},
    })
}

/// A custom runtime; `archive::pack` sets no right to run, so the text is a zip
/// made by hand.
fn custom(name: &str, script: &str) -> Value {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    writer.start_file("bootstrap", options).unwrap();
    writer.write_all(script.as_bytes()).unwrap();
    let zip = STANDARD.encode(writer.finish().unwrap().into_inner());
    json!({
        "FunctionName": name, "Runtime": "provided.al2023", "Handler": "h", "Role": ROLE,
        "Timeout": 30, "Code": {"ZipFile": zip},
    })
}

async fn create(cloud: &Cloud, function: Value) {
    call(cloud, "lambda", "CreateFunction", function).await.unwrap();
}

async fn raw(cloud: &Cloud, input: Value, payload: &'static str) -> Result<Reply, Fault> {
    let at = cloud.clock.now();
    cloud.services.call("lambda", "Invoke", input, payload.into(), at).await
}

/// Invokes and gives the payload and the error's kind.
async fn invoke(cloud: &Cloud, name: &str, payload: &'static str) -> (Value, Option<String>) {
    let reply = raw(cloud, json!({"FunctionName": name}), payload).await.unwrap();
    let error =
        reply.headers.iter().find(|(name, _)| *name == "x-amz-function-error").map(|(_, v)| v);
    let Body::Bytes { bytes, .. } = &reply.body else { panic!("{reply:?}") };
    (serde_json::from_slice(bytes).unwrap(), error.cloned())
}

/// Waits, bounded, until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_process_answers_and_is_used_again() {
    let (cloud, witness) = lambda();
    let code = "import os\ndef handler(event, context):\n    print('hello', event['n'])\n    \
                return [event['n'], os.getpid(), context.aws_request_id]";
    create(&cloud, python("f", code)).await;
    let (first, error) = invoke(&cloud, "f", r#"{"n":1}"#).await;
    assert_eq!((first[0].clone(), error), (json!(1), None));
    let (second, _) = invoke(&cloud, "f", r#"{"n":2}"#).await;
    assert_eq!((&second[0], &second[1]), (&json!(2), &first[1]));
    assert_ne!(second[2], first[2]);
    until("both reports are logged", || {
        witness.lines().iter().filter(|line| line.starts_with("REPORT")).count() == 2
    })
    .await;
    let lines = witness.lines();
    let place = |start: &str| lines.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(place("START RequestId:") < place("hello 1"));
    assert!(place("hello 1") < place("END RequestId:"));
    assert!(lines[place("REPORT")].contains("Init Duration:"), "{lines:?}");
    assert_eq!(witness.lines.lock().unwrap()[0].0, "/aws/lambda/f");
    assert_eq!((witness.sum("Invocations"), witness.sum("Errors")), (2.0, 0.0));
}

#[tokio::test]
async fn an_error_of_the_function_is_described() {
    let (cloud, witness) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    raise KeyError('lamp')")).await;
    let (payload, error) = invoke(&cloud, "f", "{}").await;
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert_eq!(payload["errorType"], "KeyError");
    assert!(payload["errorMessage"].as_str().unwrap().contains("lamp"));
    assert_eq!(witness.sum("Errors"), 1.0);
    // The process outlives an error of its handler.
    assert_eq!(invoke(&cloud, "f", "{}").await.1.as_deref(), Some("Unhandled"));
}

#[tokio::test]
async fn code_that_cannot_be_loaded_is_an_error_of_every_invocation() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "import nothing_of_this_name")).await;
    for _ in 0..2 {
        let (payload, error) = invoke(&cloud, "f", "{}").await;
        assert_eq!(
            (payload["errorType"].as_str(), error.is_some()),
            (Some("ModuleNotFoundError"), true)
        );
    }
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_ended() {
    let (cloud, _) = lambda();
    let mut function = python(
        "f",
        "import time\ndef handler(event, context):\n    time.sleep(600 if event.get('slow') else 0)\n    return context.get_remaining_time_in_millis()",
    );
    function["Timeout"] = json!(1);
    create(&cloud, function).await;
    let (payload, error) = invoke(&cloud, "f", r#"{"slow":true}"#).await;
    assert_eq!(payload["errorType"], "Sandbox.Timedout");
    assert!(payload["errorMessage"].as_str().unwrap().contains("timed out after 1.00 seconds"));
    assert!(error.is_some());
    let (left, error) = invoke(&cloud, "f", "{}").await;
    assert!(error.is_none() && (0..=1000).contains(&left.as_i64().unwrap()), "{left} {error:?}");
}

#[tokio::test]
async fn a_process_that_exits_or_never_starts_is_reported() {
    let (cloud, witness) = lambda();
    create(&cloud, custom("exits", "#!/bin/sh\necho last words\nexit 3\n")).await;
    let (payload, _) = invoke(&cloud, "exits", "{}").await;
    assert_eq!(payload["errorType"], "Runtime.ExitError");
    assert!(payload["errorMessage"].as_str().unwrap().ends_with("exit status 3"), "{payload}");
    assert!(witness.lines().contains(&"last words".to_owned()));

    create(&cloud, custom("foreign", "\u{7f}ELF no program")).await;
    let (payload, _) = invoke(&cloud, "foreign", "{}").await;
    assert_eq!(payload["errorType"], "Runtime.InvalidEntrypoint", "{payload}");

    let mut missing = custom("missing", "");
    missing["Code"] = json!({"ZipFile": zip("other", "x")});
    create(&cloud, missing).await;
    let (payload, _) = invoke(&cloud, "missing", "{}").await;
    assert_eq!(payload["errorType"], "Runtime.InvalidEntrypoint", "{payload}");
}

#[tokio::test]
async fn a_custom_runtime_speaks_the_runtime_api() {
    let (cloud, _) = lambda();
    let script = "#!/usr/bin/env python3\n\
        import http.client, os, sys\n\
        api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\n\
        def ask(method, path, body=None):\n    \
            api.request(method, '/2018-06-01/runtime' + path, body)\n    \
            answer = api.getresponse()\n    \
            return answer.status, answer.headers, answer.read()\n\
        while True:\n    \
            _, headers, event = ask('GET', '/invocation/next')\n    \
            id = headers['Lambda-Runtime-Aws-Request-Id']\n    \
            wrong = ask('POST', '/invocation/other/response', '1')[0]\n    \
            nothing = ask('GET', '/elsewhere')[0]\n    \
            ask('POST', f'/invocation/{id}/response', f'[{wrong}, {nothing}, {event.decode()}]')\n";
    create(&cloud, custom("f", script)).await;
    assert_eq!(invoke(&cloud, "f", "7").await, (json!([400, 404, 7]), None));
}

#[tokio::test]
async fn the_environment_is_lambdas_and_nobody_elses() {
    let (cloud, _) = lambda();
    let mut function =
        python("f", "import os\ndef handler(event, context):\n    return dict(os.environ)");
    function["Environment"] = json!({"Variables": {"COLOR": "red"}});
    create(&cloud, function).await;
    let (found, _) = invoke(&cloud, "f", "{}").await;
    for (name, value) in [
        ("COLOR", "red"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:0"),
        ("_HANDLER", "index.handler"),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert!(found.get("CARGO_MANIFEST_DIR").is_none() && found.get("USER").is_none());
    assert_ne!(found["HOME"].as_str(), std::env::var("HOME").ok().as_deref());
}

#[tokio::test]
async fn memory_has_a_limit() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    return len(bytearray(1 << 29))"))
        .await;
    let (payload, error) = invoke(&cloud, "f", "{}").await;
    assert_eq!((payload["errorType"].as_str(), error.is_some()), (Some("MemoryError"), true));
}

#[tokio::test]
async fn what_a_function_started_ends_with_it() {
    let (cloud, _) = lambda();
    let code = "import os, subprocess\nchild = subprocess.Popen(['sleep', '1000'])\n\
                def handler(event, context):\n    return [os.getpid(), child.pid]";
    create(&cloud, python("f", code)).await;
    let (pids, _) = invoke(&cloud, "f", "{}").await;
    let is_there = |pid: &Value| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    assert!(is_there(&pids[0]) && is_there(&pids[1]));
    call(&cloud, "lambda", "DeleteFunction", json!({"FunctionName": "f"})).await.unwrap();
    until("the group is gone", || !is_there(&pids[0]) && !is_there(&pids[1])).await;
}

#[tokio::test]
async fn reserved_concurrency_is_the_most_that_runs() {
    let (cloud, witness) = lambda();
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("go");
    let code = format!(
        "import os, time\ndef handler(event, context):\n    while not os.path.exists({:?}): time.sleep(0.01)\n    return 1",
        flag.to_str().unwrap()
    );
    create(&cloud, python("f", &code)).await;
    call(
        &cloud,
        "lambda",
        "PutFunctionConcurrency",
        json!({"FunctionName": "f", "ReservedConcurrentExecutions": 1}),
    )
    .await
    .unwrap();
    let first = tokio::spawn({
        let cloud = cloud.clone();
        async move { invoke(&cloud, "f", "{}").await }
    });
    until("the first one runs", || witness.sum("ConcurrentExecutions") == 1.0).await;
    let refused = raw(&cloud, json!({"FunctionName": "f"}), "{}").await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("TooManyRequestsException", 429));
    assert_eq!(witness.sum("Throttles"), 1.0);
    std::fs::write(flag, "").unwrap();
    assert_eq!(first.await.unwrap(), (json!(1), None));
    assert_eq!(invoke(&cloud, "f", "{}").await, (json!(1), None));
}

#[tokio::test]
async fn what_is_published_at_once_is_told_as_the_function() {
    let (cloud, _) = lambda();
    let mut input = python("f", "def handler(event, context):\n    return 1");
    input["Publish"] = json!(true);
    let made = call(&cloud, "lambda", "CreateFunction", input.clone()).await.unwrap();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
    assert_eq!((&made["Version"], &made["FunctionArn"]), (&json!("1"), &json!(arn)));
    let code = zip("index.py", "def handler(event, context):\n    return 2");
    let change = json!({"FunctionName": arn, "ZipFile": code, "Publish": true});
    let changed = call(&cloud, "lambda", "UpdateFunctionCode", change).await.unwrap();
    assert_eq!(changed["FunctionArn"], format!("{arn}:2"));
}

#[tokio::test]
async fn what_is_said_of_events_is_listed_and_needs_an_arn() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    return 1")).await;
    let list = "ListFunctionEventInvokeConfigs";
    let none = call(&cloud, "lambda", list, json!({"FunctionName": "f"})).await.unwrap();
    assert_eq!(none["FunctionEventInvokeConfigs"], json!([]));
    let put = |destination: &str| {
        let config = json!({"FunctionName": "f",
            "DestinationConfig": {"OnFailure": {"Destination": destination}}});
        call(&cloud, "lambda", "PutFunctionEventInvokeConfig", config)
    };
    assert!(put("failed").await.unwrap_err().message.contains("must be an ARN, not `failed`"));
    let queue = "arn:aws:sqs:us-east-1:123456789012:failed";
    put(queue).await.unwrap();
    let one = call(&cloud, "lambda", list, json!({"FunctionName": "f"})).await.unwrap();
    let shown = &one["FunctionEventInvokeConfigs"][0];
    assert_eq!(shown["DestinationConfig"]["OnFailure"]["Destination"], queue);
    assert!(shown["FunctionArn"].as_str().unwrap().ends_with(":function:f:$LATEST"));
}

#[tokio::test]
async fn roles_of_others_and_permissions_that_are_none_are_refused() {
    let (cloud, _) = lambda();
    let mut input = python("f", "def handler(event, context):\n    return 1");
    input["Role"] = json!("arn:aws:iam::210987654321:role/r");
    let refused = call(&cloud, "lambda", "CreateFunction", input.clone()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("AccessDeniedException", 403));
    input["Role"] = json!(ROLE);
    create(&cloud, input).await;
    let removed = json!({"FunctionName": "f", "StatementId": "s"});
    let refused = call(&cloud, "lambda", "RemovePermission", removed).await.unwrap_err();
    assert_eq!(refused.message, "No policy is associated with the given resource.");
}

#[tokio::test]
async fn an_event_is_tried_three_times_and_then_told() {
    let (cloud, witness) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    raise ValueError('no')")).await;
    let queue = "arn:aws:sqs:us-east-1:123456789012:failed";
    call(
        &cloud,
        "lambda",
        "PutFunctionEventInvokeConfig",
        json!({"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": queue}}}),
    )
    .await
    .unwrap();
    let input = json!({"FunctionName": "f", "InvocationType": "Event"});
    let reply = raw(&cloud, input, r#"{"n":1}"#).await.unwrap();
    assert_eq!(reply.status, 202);
    for tries in 1..=3 {
        until("the next try is made", || {
            // The clock is stepped again and again, as the sleeper may come late.
            cloud.clock.step(Duration::from_secs(if tries > 1 { 130 } else { 0 }));
            witness.sum("Errors") >= f64::from(tries)
        })
        .await;
    }
    until("the destination is told", || !witness.sent.lock().unwrap().is_empty()).await;
    let sent = witness.sent.lock().unwrap().clone();
    let told: Value = serde_json::from_str(&sent[0].1).unwrap();
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, queue));
    assert_eq!(told["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(told["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(told["requestPayload"], json!({"n": 1}));
    assert_eq!(witness.sum("Invocations"), 3.0);
}

#[tokio::test]
async fn new_code_and_new_settings_run_at_once() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    return 1")).await;
    assert_eq!(invoke(&cloud, "f", "{}").await.0, 1);
    let code = zip(
        "index.py",
        "import os\ndef handler(event, context):\n    return os.environ.get('A', 2)",
    );
    let update = json!({"FunctionName": "f", "ZipFile": code});
    call(&cloud, "lambda", "UpdateFunctionCode", update).await.unwrap();
    assert_eq!(invoke(&cloud, "f", "{}").await.0, 2);
    let update = json!({"FunctionName": "f", "Environment": {"Variables": {"AA": "x"}}});
    let shown = call(&cloud, "lambda", "UpdateFunctionConfiguration", update).await.unwrap();
    assert_eq!(shown["Environment"]["Variables"]["AA"], "x");
    let stale = json!({"FunctionName": "f", "RevisionId": "old", "Timeout": 5});
    let refused = call(&cloud, "lambda", "UpdateFunctionConfiguration", stale).await.unwrap_err();
    assert_eq!(refused.code, "PreconditionFailedException");
}

#[tokio::test]
async fn versions_stay_and_aliases_move() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    return 1")).await;
    let on = |operation, input| call(&cloud, "lambda", operation, input);
    let named = json!({"FunctionName": "f"});
    assert_eq!(on("PublishVersion", named.clone()).await.unwrap()["Version"], "1");
    // Nothing changed, so nothing new is published.
    assert_eq!(on("PublishVersion", named.clone()).await.unwrap()["Version"], "1");
    on("CreateAlias", json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}))
        .await
        .unwrap();
    cloud.clock.step(Duration::from_secs(1));
    let code = zip("index.py", "def handler(event, context):\n    return 2");
    on("UpdateFunctionCode", json!({"FunctionName": "f", "ZipFile": code})).await.unwrap();
    assert_eq!(invoke(&cloud, "f", "{}").await.0, 2);
    assert_eq!(invoke(&cloud, "f:live", "{}").await.0, 1);
    assert_eq!(on("PublishVersion", named.clone()).await.unwrap()["Version"], "2");
    on("UpdateAlias", json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "2"}))
        .await
        .unwrap();
    assert_eq!(invoke(&cloud, "f:live", "{}").await.0, 2);
    let refused = on("DeleteFunction", json!({"FunctionName": "f", "Qualifier": "2"})).await;
    assert_eq!(refused.unwrap_err().code, "ResourceConflictException");
    on("DeleteFunction", json!({"FunctionName": "f", "Qualifier": "1"})).await.unwrap();
    let listed = on("ListVersionsByFunction", named).await.unwrap();
    let numbers: Vec<&Value> =
        listed["Versions"].as_array().unwrap().iter().map(|version| &version["Version"]).collect();
    assert_eq!(numbers, ["$LATEST", "2"]);
}

#[tokio::test]
async fn others_may_invoke_only_with_a_permission() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    return 1")).await;
    let functions = cloud.ports.functions().unwrap();
    let rule = "arn:aws:iot:us-east-1:123456789012:rule/r";
    assert!(!functions.permits("f", "iot.amazonaws.com", rule));
    let permission = json!({
        "FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction",
        "Principal": "iot.amazonaws.com", "SourceArn": rule, "SourceAccount": "123456789012",
    });
    call(&cloud, "lambda", "AddPermission", permission.clone()).await.unwrap();
    assert!(functions.permits("f", "iot.amazonaws.com", rule));
    assert!(!functions.permits(
        "f",
        "iot.amazonaws.com",
        "arn:aws:iot:us-east-1:123456789012:rule/q"
    ));
    assert!(!functions.permits("f:live", "iot.amazonaws.com", rule));
    let again = call(&cloud, "lambda", "AddPermission", permission).await.unwrap_err();
    assert_eq!(again.code, "ResourceConflictException");
    let policy = call(&cloud, "lambda", "GetPolicy", json!({"FunctionName": "f"})).await.unwrap();
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Condition"]["ArnLike"]["AWS:SourceArn"], rule);
    let removed = json!({"FunctionName": "f", "StatementId": "s"});
    call(&cloud, "lambda", "RemovePermission", removed).await.unwrap();
    assert!(!functions.permits("f", "iot.amazonaws.com", rule));
}

#[tokio::test]
async fn the_end_of_the_log_comes_with_the_answer_if_wanted() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    print('a line')")).await;
    let reply = raw(&cloud, json!({"FunctionName": "f", "LogType": "Tail"}), "{}").await.unwrap();
    let log = reply.headers.iter().find(|(name, _)| *name == "x-amz-log-result").unwrap();
    let log = String::from_utf8(STANDARD.decode(&log.1).unwrap()).unwrap();
    assert!(
        log.starts_with("START") && log.contains("a line\n") && log.contains("REPORT"),
        "{log}"
    );
}

#[tokio::test]
async fn what_cannot_be_run_here_is_refused_by_name() {
    let (cloud, _) = lambda();
    let code = "def handler(event, context):\n    return 1";
    for (member, value, named) in [
        ("Layers", json!(["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]), "Layers"),
        ("PackageType", json!("Image"), "Image"),
        ("Runtime", json!("java21"), "java21"),
        ("Timeout", json!(901), "901"),
        ("MemorySize", json!(64), "64"),
        ("Role", json!("role"), "role"),
        ("Environment", json!({"Variables": {"AWS_REGION": "x"}}), "AWS_REGION"),
        ("Code", json!({"ZipFile": STANDARD.encode("no zip")}), "zip"),
        ("Code", json!({"ImageUri": "x"}), "images"),
        ("Code", json!({}), "S3Bucket"),
    ] {
        let mut function = python("f", code);
        function[member] = value;
        let refused = call(&cloud, "lambda", "CreateFunction", function).await.unwrap_err();
        assert!(refused.status == 400 && refused.message.contains(named), "{refused}");
    }
    let missing = call(&cloud, "lambda", "GetFunction", json!({"FunctionName": "f"})).await;
    assert_eq!(missing.unwrap_err().code, "ResourceNotFoundException");
    create(&cloud, python("f", code)).await;
    let twice = call(&cloud, "lambda", "CreateFunction", python("f", code)).await.unwrap_err();
    assert_eq!(twice.code, "ResourceConflictException");
    let refused = raw(&cloud, json!({"FunctionName": "f"}), "{no json").await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequestContentException");
}

fn kept(folder: &Path) -> Arc<Cloud> {
    let store = Store::open(folder).unwrap();
    let cloud = Cloud::new(Account::default(), Clock::stepped(Timestamp(0)), store);
    crate::install(&cloud).unwrap();
    cloud
}

#[tokio::test]
async fn functions_outlive_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    {
        let cloud = kept(folder.path());
        create(&cloud, python("f", "def handler(event, context):\n    return 5")).await;
        create(&cloud, python("gone", "def handler(event, context):\n    return 6")).await;
        call(&cloud, "lambda", "DeleteFunction", json!({"FunctionName": "gone"})).await.unwrap();
    }
    let cloud = kept(folder.path());
    assert_eq!(invoke(&cloud, "f", "{}").await, (json!(5), None));
    let zips: Vec<_> = std::fs::read_dir(folder.path().join("functions")).unwrap().collect();
    assert_eq!(zips.len(), 1);
    use std::os::unix::fs::PermissionsExt;
    let mode = zips[0].as_ref().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_stack_makes_changes_and_removes_a_function() {
    let (cloud, _) = lambda();
    let handler = cloud.resource("AWS::Lambda::Function").unwrap();
    let properties = |result: i32| {
        json!({
            "Runtime": "python3.11", "Handler": "index.handler", "Role": ROLE, "Timeout": "20",
            "Code": {"ZipFile": format!("def handler(event, context):\n    return {result}")},
            "ReservedConcurrentExecutions": 2, "Tags": [{"Key": "a", "Value": "b"}],
        })
    };
    let mut request = ResourceRequest {
        type_name: "AWS::Lambda::Function".to_owned(),
        logical_id: "F".to_owned(),
        stack_name: "s".to_owned(),
        properties: properties(1),
        ..ResourceRequest::default()
    };
    let made = handler.create(&request).await.unwrap();
    assert!(made.physical_id.starts_with("s-F-"));
    assert_eq!(
        made.attributes["Arn"],
        format!("arn:aws:lambda:us-east-1:123456789012:function:{}", made.physical_id)
    );
    let shown = call(&cloud, "lambda", "GetFunction", json!({"FunctionName": made.physical_id}))
        .await
        .unwrap();
    assert_eq!(
        (&shown["Tags"]["a"], &shown["Configuration"]["Timeout"]),
        (&json!("b"), &json!(20))
    );
    assert_eq!(shown["Concurrency"]["ReservedConcurrentExecutions"], 2);
    assert_eq!(invoke(&cloud, &made.physical_id, "{}").await.0, 1);
    request.physical_id = Some(made.physical_id.clone());
    request.previous = Some(std::mem::replace(&mut request.properties, properties(2)));
    handler.update(&request).await.unwrap();
    assert_eq!(invoke(&cloud, &made.physical_id, "{}").await.0, 2);
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
    assert!(raw(&cloud, json!({"FunctionName": made.physical_id}), "{}").await.is_err());
}

/// Takes one request at an address, and gives its body.
async fn one_request(socket: tokio::net::TcpListener) -> Value {
    let (mut stream, _) = socket.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("PUT /answer"), "{head}");
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            if body.len() >= length.lines().next().unwrap().parse().unwrap() {
                let body = serde_json::from_str(body).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                return body;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn code_in_a_template_can_answer_for_custom_resources() {
    let python = "import cfnresponse\ndef handler(event, context):\n    cfnresponse.send(event, context, cfnresponse.FAILED, {'A': 1}, 'id', reason='why')";
    let node = "const answer = require('cfn-response');\nexports.handler = (event, context) => answer.send(event, context, answer.SUCCESS, { A: 1 });";
    for (runtime, code) in [("python3.11", python), ("nodejs22.x", node)] {
        if let Err(refused) = crate::interpreter::judge(runtime) {
            assert!(refused.message.contains("`node`"), "{refused}");
            continue;
        }
        let (cloud, _) = lambda();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let request = ResourceRequest {
            type_name: "AWS::Lambda::Function".to_owned(),
            logical_id: "F".to_owned(),
            stack_name: "s".to_owned(),
            properties: json!({"FunctionName": "f", "Runtime": runtime, "Handler": "index.handler",
                "Role": ROLE, "Timeout": "20", "Code": {"ZipFile": code}}),
            ..ResourceRequest::default()
        };
        cloud.resource("AWS::Lambda::Function").unwrap().create(&request).await.unwrap();
        let event = json!({"ResponseURL": format!("http://{address}/answer?a=b"),
            "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"});
        let answer = tokio::spawn(one_request(socket));
        let functions = cloud.ports.functions().unwrap();
        let event = Bytes::from(event.to_string());
        assert!(functions.invoke("f", event).await.unwrap().error.is_none());
        let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.unwrap().unwrap();
        assert_eq!((&answer["StackId"], &answer["Data"]["A"]), (&json!("s"), &json!(1)));
        let told = (answer["Status"].as_str().unwrap(), answer["PhysicalResourceId"] == "id");
        assert_eq!(
            told,
            if runtime.starts_with('p') { ("FAILED", true) } else { ("SUCCESS", false) }
        );
        assert!(!answer["Reason"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stack_makes_permissions_versions_and_aliases() {
    let (cloud, _) = lambda();
    create(&cloud, python("f", "def handler(event, context):\n    return 1")).await;
    let request = |kind: &str, properties: Value| ResourceRequest {
        type_name: kind.to_owned(),
        logical_id: "R".to_owned(),
        stack_name: "s".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let rule = "arn:aws:events:us-east-1:123456789012:rule/r";
    let mut permission = request(
        "AWS::Lambda::Permission",
        json!({"FunctionName": "f", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceArn": rule}),
    );
    let handler = cloud.resource("AWS::Lambda::Permission").unwrap();
    permission.physical_id = Some(handler.create(&permission).await.unwrap().physical_id);
    let functions = cloud.ports.functions().unwrap();
    assert!(functions.permits("f", "events.amazonaws.com", rule));
    handler.delete(&permission).await.unwrap();
    assert!(!functions.permits("f", "events.amazonaws.com", rule));

    let version = request("AWS::Lambda::Version", json!({"FunctionName": "f"}));
    let made = cloud.resource("AWS::Lambda::Version").unwrap().create(&version).await.unwrap();
    assert_eq!(made.attributes["Version"], "1");
    let alias = request(
        "AWS::Lambda::Alias",
        json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}),
    );
    let made = cloud.resource("AWS::Lambda::Alias").unwrap().create(&alias).await.unwrap();
    assert!(made.physical_id.ends_with(":function:f:live"));
    assert_eq!(invoke(&cloud, &made.physical_id, "{}").await.0, 1);
}

#[tokio::test]
async fn node_functions_run_where_node_is_installed() {
    let (cloud, _) = lambda();
    let code =
        "exports.handler = async (event) => { console.log('n', event.n); return event.n + 1; };";
    let mut function = python("f", "");
    function["Runtime"] = json!("nodejs22.x");
    function["Code"] = json!({"ZipFile": zip("index.js", code)});
    match call(&cloud, "lambda", "CreateFunction", function).await {
        Ok(_) => assert_eq!(invoke(&cloud, "f", r#"{"n":4}"#).await, (json!(5), None)),
        Err(refused) => assert!(refused.message.contains("`node`"), "{refused}"),
    }
}

#[tokio::test]
async fn an_invocation_goes_on_when_its_caller_leaves() {
    let (cloud, witness) = lambda();
    create(&cloud, python("f", "import time\ndef handler(event, context):\n    time.sleep(0.3)"))
        .await;
    let functions = cloud.ports.functions().unwrap().clone();
    let caller =
        tokio::spawn(
            async move { functions.invoke("f", Bytes::from_static(b"{}")).await.map(drop) },
        );
    until("it runs", || witness.lines().iter().any(|line| line.starts_with("START"))).await;
    caller.abort();
    until("it ends", || witness.sum("Invocations") == 1.0).await;
}

#[tokio::test]
async fn a_burst_of_events_shares_few_processes() {
    let (cloud, witness) = lambda();
    let code = "import os, time\ndef handler(event, context):\n    time.sleep(0.02)\n    print('pid', os.getpid())";
    create(&cloud, python("f", code)).await;
    for _ in 0..100 {
        cloud.ports.functions().unwrap().invoke_event("f", Bytes::from_static(b"{}"));
    }
    until("all events are done", || {
        witness.lines().iter().filter(|line| line.starts_with("pid")).count() == 100
    })
    .await;
    let lines = witness.lines();
    let pids: std::collections::BTreeSet<&String> =
        lines.iter().filter(|line| line.starts_with("pid")).collect();
    assert!(pids.len() <= 32, "{}", pids.len());
    assert_eq!(witness.sum("Errors"), 0.0);
}

/// A queue that gives what it holds and forgets what is deleted.
#[derive(Default)]
struct FakeQueue(Mutex<Vec<&'static str>>);

impl Service for FakeQueue {
    fn scopes(&self) -> &'static [&'static str] {
        &["sqs"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_async("ReceiveMessage", |queue, call| async move {
                assert_eq!(call.input["QueueUrl"], QUEUE);
                let found: Vec<Value> = queue
                    .0
                    .lock()
                    .unwrap()
                    .iter()
                    .map(|body| json!({"MessageId": body, "Body": body, "ReceiptHandle": body}))
                    .collect();
                if found.is_empty() || call.input["WaitTimeSeconds"] == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    return Ok(Reply::empty());
                }
                Ok(json!({"Messages": found}).into())
            })
            .named("DeleteMessageBatch", |queue, call| {
                let entries = call.input["Entries"].as_array().unwrap().clone();
                let is_done = |body: &str| entries.iter().any(|e| e["ReceiptHandle"] == body);
                queue.0.lock().unwrap().retain(|body| !is_done(body));
                Ok(Reply::empty())
            })
            .list()
    }
}

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:q";

#[tokio::test]
async fn a_function_gets_the_messages_of_its_queue() {
    let (cloud, witness) = lambda();
    let queue = Arc::new(FakeQueue::default());
    cloud.services.add(queue.clone());
    let code = "def handler(event, context):\n    bodies = [r['body'] for r in event['Records']]\n    \
                print('got', *bodies)\n    \
                return {'batchItemFailures': [{'itemIdentifier': b} for b in bodies if b == 'bad']}";
    create(&cloud, python("f", code)).await;
    let input = json!({
        "FunctionName": "f", "EventSourceArn": QUEUE, "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    let made = call(&cloud, "lambda", "CreateEventSourceMapping", input.clone()).await.unwrap();
    assert_eq!(made["State"], "Enabled");
    let twice = call(&cloud, "lambda", "CreateEventSourceMapping", input).await.unwrap_err();
    assert_eq!(twice.code, "ResourceConflictException");
    queue.0.lock().unwrap().extend(["a", "bad", "b"]);
    until("what was done is deleted", || *queue.0.lock().unwrap() == ["bad"]).await;
    until("the function logged", || witness.lines().contains(&"got a bad b".to_owned())).await;
    let stream = json!({"FunctionName": "f", "EventSourceArn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"});
    let refused = call(&cloud, "lambda", "CreateEventSourceMapping", stream).await.unwrap_err();
    assert!(refused.message.contains("must be the ARN of a queue"), "{refused}");
    let id = json!({"UUID": made["UUID"]});
    call(&cloud, "lambda", "DeleteEventSourceMapping", id.clone()).await.unwrap();
    assert!(call(&cloud, "lambda", "GetEventSourceMapping", id).await.is_err());
}

#[test]
fn nothing_outlives_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cloud, found) = runtime.block_on(async {
        let (cloud, _) = lambda();
        let code = "import os\ndef handler(event, context):\n    return [os.getpid(), os.environ['LAMBDA_TASK_ROOT'], os.environ['HOME']]";
        create(&cloud, python("f", code)).await;
        let (found, _) = invoke(&cloud, "f", "{}").await;
        (cloud, found)
    });
    assert!(Path::new(found[1].as_str().unwrap()).exists());
    drop(runtime);
    // Somebody may still hold the cloud; its processes and folders are gone all the same.
    assert!(!Path::new(found[1].as_str().unwrap()).exists());
    assert!(!Path::new(found[2].as_str().unwrap()).exists());
    let began = Instant::now();
    let is_there = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", found[0])).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    while is_there() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(cloud);
}
