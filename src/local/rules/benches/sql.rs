//! What a statement costs per message, and what a message costs that no rule hears.
//!
//! `cargo bench -p iotstack-local-rules`

use divan::{Bencher, black_box};
use iotstack_local_rules::sql::{Answers, Context, Message, Output, Source, Statement, Version};

fn main() {
    divan::main();
}

const MESSAGE: &[u8] = br#"{"deviceId":"pump-7","timestamp":1767225600000,"temperature":21.52,
"humidity":40,"position":{"lat":48.137154,"lon":11.576124},"status":"OK","errors":[1,2,3]}"#;

#[divan::bench]
fn reads_a_statement() -> Statement {
    let source = black_box(
        "SELECT *, topic(2) AS site, timestamp() AS at FROM 'solar/+/telemetry' \
         WHERE temperature > 20 AND status <> 'FAILED'",
    );
    Statement::parse(source, Version::V2016).expect("the statement is good")
}

#[divan::bench(args = [
    "SELECT * FROM 'solar/+/telemetry'",
    "SELECT * FROM 'solar/+/telemetry' WHERE temperature > 90",
    "SELECT *, topic(2) AS site, timestamp() AS at FROM 'solar/+/telemetry' WHERE temperature > 20",
    "SELECT sha256(concat(topic(), deviceId)) AS id, regexp_matches(deviceId, '^pump') AS p FROM 'a'",
    "SELECT (SELECT VALUE e FROM errors WHERE e > 1) AS errors FROM 'a'",
])]
fn applies(bencher: Bencher<'_, '_>, source: &str) {
    let statement = Statement::parse(source, Version::V2016).expect("the statement is good");
    bencher.bench_local(|| {
        let message = Message::new(black_box(MESSAGE));
        let context = Context {
            message: &message,
            topic: "solar/7/telemetry",
            source: Source::default(),
            account: "123456789012",
            trace_id: "trace",
            now: 1_767_225_600_000,
            seed: 1,
        };
        match statement.apply(&context, &Answers::default()) {
            Ok(Some(Output::Value(value))) => statement.write(&value).len(),
            _ => 0,
        }
    });
}
