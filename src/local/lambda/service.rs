//! The service: its state, and how a function is run.
//!
//! Functions are changed under one lock, whole or not at all, and stored before they
//! are shown. A run takes what it needs out of the state first and holds no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::{
    Account, Clock, Cloud, Commit, Fault, Store, StoreError, Timestamp, id,
};
use tokio::sync::Semaphore;

use crate::code::{self, Codes};
use crate::error::not_found;
use crate::mapping::{MAPPINGS, Mapping};
use crate::name::{FunctionName, function_arn};
use crate::pool::{Leased, Pool};
use crate::process::{Invocation, Launch, LogTarget, Outcome, Worker};
use crate::record::{Function, Version};

/// The service.
pub(crate) struct Lambda {
    // The cloud owns the service; a strong reference back would keep both for ever.
    cloud: Weak<Cloud>,
    pub(crate) account: Account,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) codes: Codes,
    pub(crate) pool: Pool,
    /// How many asynchronous invocations wait or run.
    pub(crate) events: AtomicUsize,
    /// How many of them run at once: more would only start more processes.
    pub(crate) event_turns: Semaphore,
    functions: Mutex<BTreeMap<String, Function>>,
    mappings: Mutex<BTreeMap<String, Mapping>>,
}

/// What an invocation needs to know, taken before it begins.
pub(crate) struct Plan {
    pub(crate) name: FunctionName,
    pub(crate) version: Version,
    pub(crate) reserved: Option<u32>,
}

impl Lambda {
    /// The service with the functions that were stored.
    pub(crate) fn restore(cloud: &Arc<Cloud>) -> Result<Arc<Self>, StoreError> {
        let functions: BTreeMap<String, Function> =
            cloud.store.load(FUNCTIONS)?.into_iter().collect();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Arc::new(Lambda {
            cloud: Arc::downgrade(cloud),
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            store: cloud.store.clone(),
            codes: Codes::new(cloud.store.folder()),
            pool: Pool::new(),
            events: AtomicUsize::new(0),
            event_turns: Semaphore::new(2 * cores.clamp(2, 16)),
            functions: Mutex::new(functions),
            mappings: Mutex::new(cloud.store.load(MAPPINGS)?.into_iter().collect()),
        }))
    }

    /// Begins to end processes that nobody uses, where there is a runtime to do it.
    /// With that runtime all processes and folders end, whoever still holds the
    /// service then.
    pub(crate) fn start(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn_blocking(code::remove_left_behind);
        let mappings: Vec<Mapping> = self.mappings().values().cloned().collect();
        for mapping in mappings {
            self.poll(mapping);
        }
        let ending = Ending(Arc::downgrade(self));
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(30)).await;
                let Some(lambda) = ending.0.upgrade() else { return };
                lambda.pool.reap();
            }
        });
    }

    /// Ends idle processes and lets go of all code.
    pub(crate) fn end(&self) {
        self.pool.clear();
        self.codes.clear();
    }

    pub(crate) fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }

    pub(crate) fn functions(&self) -> MutexGuard<'_, BTreeMap<String, Function>> {
        self.functions.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn mappings(&self) -> MutexGuard<'_, BTreeMap<String, Mapping>> {
        self.mappings.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn arn(&self, name: &str) -> String {
        function_arn(&self.account, name)
    }

    /// Reads a function.
    pub(crate) fn read<T>(
        &self,
        name: &FunctionName,
        read: impl FnOnce(&Function) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.functions().get(&name.name) {
            Some(function) => read(function),
            None => Err(self.unknown(name)),
        }
    }

    /// Changes a function, whole or not at all.
    pub(crate) fn change<T>(
        &self,
        name: &FunctionName,
        change: impl FnOnce(&mut Function) -> Result<T, Fault>,
    ) -> Result<(T, Commit), Fault> {
        let mut functions = self.functions();
        let current = functions.get_mut(&name.name).ok_or_else(|| self.unknown(name))?;
        let mut changed = current.clone();
        let outcome = change(&mut changed)?;
        let mut batch = self.store.batch();
        batch.put(FUNCTIONS, name.name.as_str(), &changed);
        *current = changed;
        Ok((outcome, self.store.commit(batch)))
    }

    /// Adds a function that was not there.
    pub(crate) fn insert(&self, function: Function) -> Result<Commit, Fault> {
        let mut functions = self.functions();
        if functions.contains_key(&function.name) {
            let message = format!("Function already exist: {}", function.name);
            return Err(crate::error::conflict(message));
        }
        let mut batch = self.store.batch();
        batch.put(FUNCTIONS, function.name.as_str(), &function);
        functions.insert(function.name.clone(), function);
        Ok(self.store.commit(batch))
    }

    /// Removes a function with all its versions.
    pub(crate) fn remove(&self, name: &FunctionName) -> Result<Commit, Fault> {
        let commit = {
            let mut functions = self.functions();
            if functions.remove(&name.name).is_none() {
                return Err(self.unknown(name));
            }
            let mut batch = self.store.batch();
            batch.remove(FUNCTIONS, name.name.as_str());
            self.store.commit(batch)
        };
        self.pool.retire(&name.name, &[]);
        self.forget_unused_code();
        Ok(commit)
    }

    /// Lets go of processes and code that no version needs any more.
    pub(crate) fn settle(&self, name: &str) {
        self.retire(name);
        self.forget_unused_code();
    }

    /// Ends the idle processes of versions that are no more.
    fn retire(&self, name: &str) {
        let current: Vec<String> = match self.functions().get(name) {
            None => Vec::new(),
            Some(function) => {
                function.all_versions().map(|version| version.revision.clone()).collect()
            }
        };
        self.pool.retire(name, &current);
    }

    fn forget_unused_code(&self) {
        let used: BTreeSet<String> = self
            .functions()
            .values()
            .flat_map(Function::all_versions)
            .map(|version| version.code.clone())
            .collect();
        self.codes.keep_only(&used);
    }

    pub(crate) fn unknown(&self, name: &FunctionName) -> Fault {
        not_found(format!("Function not found: {}", name.arn(&self.account)))
    }

    /// What is needed to run a function.
    pub(crate) fn plan(&self, name: &FunctionName) -> Result<Plan, Fault> {
        self.read(name, |function| {
            let version = function.version(&self.account, name.qualifier.as_deref())?.clone();
            let reserved = function.reserved_concurrency;
            Ok(Plan { name: name.clone(), version, reserved })
        })
    }

    /// Runs a function once. The invocation goes on if nobody waits for it.
    pub(crate) async fn run(
        self: Arc<Self>,
        plan: Plan,
        request_id: String,
        payload: Bytes,
        client_context: Option<String>,
        tail: bool,
    ) -> Result<Outcome, Fault> {
        let name = plan.name.name.clone();
        let running = match self.pool.enter(&name, plan.reserved) {
            Ok(running) => running,
            Err(fault) => {
                self.count(&name, "Throttles", 1.0, "Count");
                return Err(fault);
            }
        };
        self.count(&name, "ConcurrentExecutions", f64::from(self.pool.running(&name)), "Count");
        let task = tokio::spawn(async move {
            let running = running;
            let outcome =
                self.run_in_process(&plan, request_id, payload, client_context, tail).await;
            drop(running);
            if let Ok(outcome) = &outcome {
                let failed = f64::from(u8::from(outcome.error.is_some()));
                self.count(&plan.name.name, "Invocations", 1.0, "Count");
                self.count(&plan.name.name, "Errors", failed, "Count");
                let duration = outcome.duration.as_secs_f64() * 1000.0;
                self.count(&plan.name.name, "Duration", duration, "Milliseconds");
            }
            outcome
        });
        task.await.unwrap_or_else(|error| Err(Fault::internal(error.to_string())))
    }

    async fn run_in_process(
        &self,
        plan: &Plan,
        request_id: String,
        payload: Bytes,
        client_context: Option<String>,
        tail: bool,
    ) -> Result<Outcome, Fault> {
        let settings = &plan.version.settings;
        let timeout = Duration::from_secs(u64::from(settings.timeout_seconds));
        let needed_until = self.clock.now().after(timeout);
        let invocation = Invocation {
            request_id,
            function_arn: plan.name.arn(&self.account),
            version: plan.version.number.clone(),
            payload,
            client_context,
            timeout,
            tail,
        };
        let name = &plan.name.name;
        let warm = self.pool.take(name, &plan.version.revision, needed_until);
        let mut leased = match warm {
            Some(leased) => leased,
            None => match self.launch(plan).await? {
                Ok(leased) => leased,
                Err(outcome) => return Ok(outcome),
            },
        };
        let outcome = leased.worker.invoke(invocation).await;
        if outcome.reusable {
            self.pool.give_back(leased);
            // The function may have changed meanwhile.
            self.retire(name);
        }
        Ok(outcome)
    }

    /// Starts a process; one that does not start is an outcome of the function.
    async fn launch(&self, plan: &Plan) -> Result<Result<Leased, Outcome>, Fault> {
        let cloud = self.cloud()?;
        let (version, settings) = (&plan.version, &plan.version.settings);
        let name = &plan.name.name;
        let permit = self.pool.place().await?;
        let package = self.codes.get(&version.code)?;
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut set =
            |name: &str, value: &str| environment.push((name.to_owned(), value.to_owned()));
        set("AWS_REGION", &self.account.region);
        set("AWS_DEFAULT_REGION", &self.account.region);
        set("AWS_ENDPOINT_URL", &cloud.addresses().endpoint);
        set("AWS_LAMBDA_FUNCTION_NAME", name);
        set("AWS_LAMBDA_FUNCTION_VERSION", &version.number);
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &settings.memory_megabytes.to_string());
        let mut expires = None;
        // A cloud without credentials runs functions without keys.
        if let Ok(credentials) = cloud.ports.credentials() {
            let keys = credentials.assume(&settings.role, name, LAMBDA)?;
            set("AWS_ACCESS_KEY_ID", &keys.access_key_id);
            set("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
            set("AWS_SESSION_TOKEN", &keys.session_token);
            expires = Some(keys.expires);
        }
        environment.extend(settings.environment.clone());
        let worker = Worker::start(Launch {
            runtime: settings.runtime.clone(),
            handler: settings.handler.clone(),
            package,
            environment,
            memory_megabytes: settings.memory_megabytes,
            logs: self.logs(&cloud, name, version),
        })
        .await;
        Ok(match worker {
            Ok(worker) => {
                let revision = version.revision.clone();
                Ok(Pool::lease(name.clone(), revision, expires, worker, permit))
            }
            Err(failure) => {
                let text = String::from_utf8_lossy(&failure.payload).into_owned();
                let logs = self.logs(&cloud, name, version);
                if let Some(port) = &logs.logs {
                    port.write(&logs.group, &logs.stream, &[(self.clock.now(), text)]);
                }
                Err(Outcome {
                    payload: failure.payload,
                    error: Some("Unhandled".to_owned()),
                    duration: Duration::ZERO,
                    log_tail: None,
                    reusable: false,
                })
            }
        })
    }

    fn logs(&self, cloud: &Cloud, name: &str, version: &Version) -> LogTarget {
        let logging = &version.settings.logging;
        let now = self.clock.now().iso8601();
        let day = now.get(..10).unwrap_or_default().replace('-', "/");
        let (number, tail) = (&version.number, id::hex_digits(32));
        // A group that functions share names them in its streams.
        let whose = if logging.group.is_some() { name } else { "" };
        LogTarget {
            group: logging.group_of(name),
            stream: format!("{day}/{whose}[{number}]{tail}"),
            json: logging.json,
            clock: self.clock.clone(),
            logs: cloud.ports.log_streams().ok().cloned(),
        }
    }

    /// Adds to a metric of a function.
    pub(crate) fn count(&self, function: &str, metric: &str, value: f64, unit: &str) {
        if let Some(cloud) = self.cloud.upgrade()
            && let Ok(metrics) = cloud.ports.metrics()
        {
            metrics.put("AWS/Lambda", metric, &[("FunctionName", function)], value, unit);
        }
    }

    /// Whether Lambda may act as a role; a cloud without credentials allows it.
    pub(crate) fn judge_role(&self, role: &str) -> Result<(), Fault> {
        let cloud = self.cloud()?;
        if role.split(':').nth(4).is_some_and(|account| account != self.account.id) {
            let message = "Cross-account pass role is not allowed.";
            return Err(Fault::new("AccessDeniedException", 403, message));
        }
        let Ok(credentials) = cloud.ports.credentials() else { return Ok(()) };
        credentials.assume(role, "judge", LAMBDA).map(drop).map_err(|fault| {
            crate::error::invalid(format!(
                "The role defined for the function cannot be assumed by Lambda: {}",
                fault.message
            ))
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Lives as long as the runtime, and ends what must not outlive it.
struct Ending(Weak<Lambda>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(lambda) = self.0.upgrade() {
            lambda.end();
        }
    }
}

/// Who assumes the role of a function.
const LAMBDA: &str = "lambda.amazonaws.com";

const FUNCTIONS: &str = "lambda-functions";
