//! How fast executions change their states, and how much memory one takes.
//!
//! A job over a million things, each of them queued, started and succeeded, as the
//! local cloud would do it: by the names of the job and the thing. The memory is
//! what the process has grown by, so that lists, indices, timers and the names of
//! the things are all in it. Times are CPU times, because other work may run.

use std::hint::black_box;
use std::time::Instant;

use iotstack_jobs::{
    CreateJob, Effect, Engine, Limits, Membership, RolloutConfig, Scope, StartNext, Time,
    TimeoutConfig, UpdateExecution,
};
use iotstack_protocol::JobExecutionStatus;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let things = if std::env::args().any(|arg| arg == "--test") { 1000 } else { 1_000_000 };
    let names: Vec<String> = (0..things).map(|n| format!("lamp-{n:07}")).collect();
    let before = resident();
    let mut fleet = Fleet::new(&names);

    let queued = fleet.timed("queued", Fleet::queue);
    let started = fleet.timed("in progress", Fleet::start);
    let bytes = resident().saturating_sub(before);
    let succeeded = fleet.timed("succeeded", Fleet::succeed);

    let rate = 3.0 * things as f64 / (queued + started + succeeded);
    println!("all three: {:.2} million transitions per CPU second", rate / 1e6);
    println!("memory with timers: {} bytes per execution", bytes / things);
    assert!(fleet.engine.execution_count() == things);
    if things == 1_000_000 {
        divan::main();
    }
}

/// One device of a hundred thousand starts its job and reports success.
#[divan::bench]
fn start_and_succeed(bencher: divan::Bencher<'_, '_>) {
    let names: Vec<String> = (0..100_000).map(|n| format!("lamp-{n:07}")).collect();
    let mut fleet = Fleet::new(&names);
    fleet.queue();
    let mut device = 0;
    bencher.counter(divan::counter::ItemsCount::new(2_usize)).bench_local(|| {
        let name = &names[device % names.len()];
        device += 1;
        fleet.start_one(name);
        fleet.succeed_one(name);
    });
}

struct Fleet<'a> {
    engine: Engine,
    names: &'a [String],
    now: Time,
    effects: Vec<Effect>,
}

impl<'a> Fleet<'a> {
    fn new(names: &'a [String]) -> Self {
        let scope = Scope {
            partition: "aws".into(),
            region: "eu-central-1".into(),
            account: "123456789012".into(),
        };
        Fleet {
            engine: Engine::new(scope, Limits::default()),
            names,
            now: Time(1_700_000_000_000),
            effects: Vec::new(),
        }
    }

    /// Runs a phase and says how many seconds of CPU it took.
    fn timed(&mut self, what: &str, phase: fn(&mut Self)) -> f64 {
        let begin = Instant::now();
        let before = cpu_seconds(begin);
        phase(self);
        let seconds = cpu_seconds(begin) - before;
        let rate = self.names.len() as f64 / seconds / 1e6;
        println!("{what}: {seconds:.3} s, {rate:.2} million a second");
        seconds
    }

    fn queue(&mut self) {
        let request = CreateJob {
            targets: vec!["arn:aws:iot:eu-central-1:123456789012:thinggroup/all".into()],
            document: Some("{}".into()),
            job_executions_rollout_config: Some(RolloutConfig {
                maximum_per_minute: Some(1000),
                exponential_rate: None,
            }),
            timeout_config: Some(TimeoutConfig { in_progress_timeout_in_minutes: Some(10_080) }),
            ..CreateJob::default()
        };
        let all = All(self.names);
        let created = self.engine.create_job("j1", request, &all, self.now, &mut self.effects);
        assert!(created.is_ok(), "{created:?}");
        while let Some(next) = self.engine.next_wakeup() {
            self.now = self.now.max(next);
            self.effects.clear();
            self.engine.advance(self.now, &mut self.effects);
        }
    }

    fn start(&mut self) {
        for name in self.names {
            self.start_one(name);
        }
    }

    fn succeed(&mut self) {
        for name in self.names {
            self.succeed_one(name);
        }
    }

    fn start_one(&mut self, name: &str) {
        self.now = self.now.after(1);
        self.effects.clear();
        let next = self.engine.start_next(name, StartNext::default(), self.now, &mut self.effects);
        black_box(next.is_ok());
    }

    fn succeed_one(&mut self, name: &str) {
        self.now = self.now.after(1);
        self.effects.clear();
        let request = UpdateExecution {
            status: JobExecutionStatus::Succeeded,
            status_details: None,
            expected_version: None,
            execution_number: None,
            step_timeout_in_minutes: None,
        };
        let view = self.engine.update_execution("j1", name, request, self.now, &mut self.effects);
        black_box(view.is_ok());
    }
}

struct All<'a>(&'a [String]);

impl Membership for All<'_> {
    fn thing_exists(&self, _: &str) -> bool {
        true
    }

    fn group_exists(&self, _: &str) -> bool {
        true
    }

    fn each_member(&self, _: &str, visit: &mut dyn FnMut(&str)) {
        self.0.iter().for_each(|name| visit(name));
    }

    fn is_member(&self, _: &str, _: &str) -> bool {
        true
    }
}

/// Bytes of memory that the process holds; 0 where the system does not tell.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// Seconds of CPU that the process has taken; wall time where the system does not tell.
fn cpu_seconds(begin: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => (user + system) / 100.0,
        _ => begin.elapsed().as_secs_f64(),
    }
}
