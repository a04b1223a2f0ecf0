//! Patience with services that ask for fewer calls.
//!
//! The SDK tries a call a few times within seconds. That is too little for a
//! fleet: several stacks may work on one account at once, and quotas are per
//! account. Here a throttled call is tried again until the deadline, with pauses
//! that grow and differ from each other, so that callers do not come back together.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Error, Result};

/// Calls until the answer is not "too many requests", at most until `deadline`.
pub(crate) async fn with_patience<T, F>(deadline: Instant, call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    until(deadline, Error::is_throttled, call).await
}

/// Calls until the answer is not one of those that `again` says pass by themselves.
pub(crate) async fn until<T, F>(
    deadline: Instant,
    again: impl Fn(&Error) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match call().await {
            Err(error) if again(&error) => error,
            result => return result,
        };
        let wait = jittered(pause);
        if Instant::now() + wait >= deadline {
            return Err(error);
        }
        sleep(wait).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Between a half and the whole of `pause`. The standard library's hasher seeds
/// are the only randomness needed here.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    pause.mul_f64(0.5 + random as f64 / 2000.0)
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::ServiceFault;

    fn fault(code: &str) -> Error {
        let code = Some(code.to_owned());
        Box::new(ServiceFault { operation: "X", code, status: Some(400), message: String::new() })
            .into()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_until_the_service_has_room() {
        let calls = Cell::new(0);
        let deadline = Instant::now() + Duration::from_secs(60);
        let result = with_patience(deadline, || async {
            calls.set(calls.get() + 1);
            if calls.get() < 6 { Err(fault("ThrottlingException")) } else { Ok(calls.get()) }
        });
        assert_eq!(result.await.unwrap(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_before_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let result: Result<()> =
            with_patience(deadline, || async { Err(fault("ThrottlingException")) }).await;
        assert!(result.unwrap_err().is_throttled());
        assert!(Instant::now() < deadline);
        assert!(deadline - Instant::now() <= LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn tells_other_errors_at_once() {
        let start = Instant::now();
        let result: Result<()> = with_patience(start + Duration::from_secs(60), || async {
            Err(fault("UnauthorizedException"))
        })
        .await;
        assert!(result.unwrap_err().has_code("UnauthorizedException"));
        assert_eq!(Instant::now(), start);
    }

    #[test]
    fn pauses_stay_between_a_half_and_the_whole() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(1));
            assert!((0.5..=1.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
