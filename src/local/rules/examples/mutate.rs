//! Feeds mutated statements and messages to the SQL until the time is over:
//! `cargo run --release -p iotstack-local-rules --example mutate -- 3600`.
//!
//! A fuzzer that follows coverage finds more; this one needs nothing but a compiler.
//! It prints how many inputs it tried; a panic or an overflow ends it with a failure.

use std::time::{Duration, Instant};

use iotstack_local_rules::sql::exercise;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut corpus: Vec<Vec<u8>> =
        SEEDS.iter().map(|seed| format!("{seed}\0{MESSAGE}").into_bytes()).collect();
    let mut tried = 0u64;
    while Instant::now() < end {
        for _ in 0..1_000 {
            let mut input = corpus[random.below(corpus.len())].clone();
            for _ in 0..=random.below(6) {
                mutate(&mut input, &corpus, &mut random);
            }
            input.truncate(16 * 1024);
            exercise(&input);
            tried += 1;
            // Some mutants breed on, so that inputs drift away from the seeds.
            if random.below(50) == 0 {
                let place = SEEDS.len() + random.below(200);
                if place < corpus.len() { corpus[place] = input } else { corpus.push(input) }
            }
        }
    }
    println!("{tried} inputs in {seconds} s without a crash");
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(7) {
        0 if at < input.len() => input[at] = random.next() as u8,
        1 if at < input.len() => drop(input.remove(at)),
        2 => input.truncate(at),
        3 => {
            let word = WORDS[random.below(WORDS.len())].as_bytes();
            input.splice(at..at, word.iter().copied());
        }
        4 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            input.splice(at..at, other[from..to].iter().copied());
        }
        5 if at < input.len() => {
            let end = at + random.below(input.len() - at);
            let part = input[at..end].to_vec();
            let part: Vec<u8> = part.repeat(1 + random.below(4));
            input.splice(at..at, part);
        }
        _ => input.extend_from_slice(b"\0{\"a\":[1,{\"b\":-2.5e-3}]}"),
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const MESSAGE: &str = r#"{"a":{"b":[1,2.5,"x",null,true,{"c":"d"}]},"e":[{"n":"t","v":27},{"n":"l"}],"s":"12.7","u":"é"}"#;

const SEEDS: &[&str] = &[
    "SET @a = a.b, @c = length(s) SELECT *, topic(2) AS t.u, get(@a, 0).y FROM 'a/+/#' WHERE s <> 'c' AND NOT u IN (1,2)",
    "SELECT VALUE (SELECT VALUE v FROM e WHERE n = \"t\") FROM 'a'",
    "SELECT CASE s WHEN 1 THEN {'k': [1, -2.5e3]} ELSE cast('1' AS Decimal) END AS r FROM a/b",
    "SELECT concat(a.b, [1]), lpad(s, 9), regexp_replace(s, '(\\d)', '$1$0x'), substring(u, 0, 1) FROM 'x'",
    "SELECT parse_time(\"yyyy-MM-dd'T'HH:mm:ss.SSSZZ\", 1481825251155, '+02:00') AS p, time_to_epoch(s, 'yyyy') AS q FROM 'x'",
    "SELECT encode(*, 'base64') AS e, decode(encode(s, 'base64'), 'base64') AS d, md2(s), sha512(u) FROM 'x'",
    "SELECT transform('enrichArray', a, e) AS t, power(s, 60), trunc(s, 30), 1e900 * 1e99 AS big, 7 / 3 % 2 AS m FROM 'x'",
    "${get(e, 0).v}/${cast(a AS String)}/${'}'}",
];

const WORDS: &[&str] = &[
    "SELECT ",
    "VALUE ",
    " FROM ",
    " WHERE ",
    " AS ",
    "CASE ",
    " WHEN ",
    " THEN ",
    " END",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "\\",
    ",",
    ".",
    "*",
    "@a",
    "\0",
    "9e999",
    "-",
    "1E-999",
    "99999999999999999999999999999999999",
    "replace(",
    "concat(",
    "${",
    "NOT ",
    " IN ",
    "null",
    "é",
    "power(",
    "round(",
    "rpad(s, 1000)",
    "(SELECT * FROM e)",
];
