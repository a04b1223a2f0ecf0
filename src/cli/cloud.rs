//! The way to AWS: sessions, questions while something is open, and Ctrl-C.
//!
//! The asynchronous runtime is made here and nowhere else, so that commands that never
//! leave the machine do not pay for it. Ctrl-C drops the work: what CloudFormation has
//! begun goes on there, and the next command attaches to it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iotstack_assembly::StackArtifact;
use iotstack_deploy::{Pace, Session, SessionOptions};

use super::context::Context;
use super::error::{Error, Kind, Result};
use super::ui;

/// Runs work that talks to AWS, until it is done or the user presses Ctrl-C.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run(tokio::runtime::Builder::new_current_thread(), interruptible(work))
}

/// The same for work that CloudFormation goes on with by itself.
pub fn block_on_stacks<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run(tokio::runtime::Builder::new_current_thread(), async {
        tokio::select! {
            biased;
            () = interrupt() => Err(interrupted().hint(
                "what CloudFormation has begun goes on there; run the command again to attach to it",
            )),
            result = work => result,
        }
    })
}

/// The same on all processors, for clouds and fleets on this machine.
pub fn block_on_threads<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run(tokio::runtime::Builder::new_multi_thread(), interruptible(work))
}

/// The same for work that hears the first Ctrl-C by itself, to clean up; the second one
/// drops it.
pub fn block_on_tidily<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run(tokio::runtime::Builder::new_multi_thread(), async {
        tokio::select! {
            biased;
            () = async { interrupt().await; interrupt().await } => Err(interrupted()),
            result = work => result,
        }
    })
}

/// Work that ends with the next Ctrl-C.
pub async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupt() => Err(interrupted()),
        result = work => result,
    }
}

/// Work that is told of the next Ctrl-C, and comes to its own end then.
pub async fn stopping<T>(work: impl Future<Output = Result<T>>, stopped: &AtomicBool) -> Result<T> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        () = interrupt() => {
            stopped.store(true, Ordering::Relaxed);
            work.await.and(Err(interrupted()))
        }
        result = &mut work => result,
    }
}

/// Waits for the next Ctrl-C. Whoever does something else meanwhile polls this first, as
/// what is pressed before nobody hears, and work may take a while until it first waits.
pub async fn interrupt() {
    // Where nobody can press it, the work goes on.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Waits for the end of standard input, which somebody holds open as long as it lives.
pub async fn input_end() {
    let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    // An input that cannot be read is as good as one that has ended.
    let _ = tokio::task::spawn_blocking(read).await;
}

fn run<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Bug, format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(work);
    // A question that nobody answered must not hold the program up.
    runtime.shutdown_background();
    result
}

/// The session of this context: its profile, region and endpoint.
pub async fn session(context: &Context) -> Result<Session> {
    let options = SessionOptions {
        profile: context.profile()?,
        region: context.region()?,
        endpoint_url: context.options.endpoint_url.clone(),
    };
    let mut session = Session::load(&options).await?;
    if session.endpoint_url().is_some_and(is_local) {
        // A cloud on this machine has no quota for looking, and is done in no time.
        session.set_pace(Pace {
            stack: Duration::from_millis(100),
            change_set: Duration::from_millis(20),
        });
    }
    Ok(session)
}

/// Whether a cloud is on this machine.
pub fn is_local(url: &str) -> bool {
    ["://127.", "://localhost", "://[::1]"].iter().any(|local| url.contains(local))
}

/// The stack in the place that the chosen environment gives to stacks that fit anywhere.
pub fn placed(stack: &StackArtifact, context: &Context) -> Result<StackArtifact> {
    let (_, environment) = context.environment()?;
    let mut stack = stack.clone();
    if stack.environment.account.is_none() {
        stack.environment.account = environment.account;
    }
    if stack.environment.region.is_none() {
        stack.environment.region = context.region()?;
    }
    Ok(stack)
}

/// Asks a question, without standing in the way of Ctrl-C.
pub async fn ask(question: String) -> Result<bool> {
    let answer = tokio::task::spawn_blocking(move || ui::ask(&question)).await;
    answer.map_err(|error| Error::new(Kind::Bug, format!("the question failed: {error}")))?
}

fn interrupted() -> Error {
    // The terminal shows `^C` at the end of a question.
    if ui::can_ask() {
        ui::tell("");
    }
    Error::new(Kind::Interrupted, "stopped by Ctrl-C")
}
