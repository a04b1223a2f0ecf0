//! A signed request: the request line, one line for each header, an empty line, the
//! body.
//!
//! Whatever is written there is found to be no signature or judged, with a key that is
//! known and at a time that fits. That a signature nobody made is never good is part
//! of it: the secret is not in the input.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use iotstack_local_kernel::ports::{Credentials, Identity, SessionKeys};
use iotstack_local_kernel::signature::Signature;
use iotstack_local_kernel::{Caller, Fault, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(request) = request(data) else { return };
    let Ok(signature) = Signature::of(&request) else { return };
    // The input brings its own time, so that the check of the time is passed as well.
    let times = [NOW, NOW.after(Duration::from_secs(3600)), Timestamp(0), Timestamp(i64::MAX)];
    for now in times {
        let verdict = signature.verify(&request, &Keys, &[now]);
        assert!(verdict.is_err(), "a signature without the secret was good");
    }
});

/// Reads a request as far as the HTTP library takes it.
fn request(data: &[u8]) -> Option<Request<Bytes>> {
    let blank = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match blank {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

/// Every key is known; the secret is one that no input can know.
struct Keys;

impl Credentials for Keys {
    fn identity(&self, key: &str) -> Option<Identity> {
        let session = key.starts_with("ASIA");
        Some(Identity {
            secret: "kept from the fuzzer".to_owned(),
            session_token: session.then(|| "token".to_owned()),
            caller: Caller::Root,
            expires: session.then(|| NOW.after(Duration::from_secs(60))),
        })
    }

    fn allows(&self, _: &Caller, _: &str, _: &str) -> bool {
        false
    }

    fn assume(&self, _: &str, _: &str, _: &str) -> Result<SessionKeys, Fault> {
        Err(Fault::internal("no roles here"))
    }
}

const NOW: Timestamp = Timestamp(1_767_225_600_000);
