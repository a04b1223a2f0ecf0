//! A service: its scope, its wire formats and its table of operations.
//!
//! The table is the whole truth about what a service offers: requests are
//! routed by it, and `iotstack local --coverage` prints it. Several services
//! may share a scope; `iot` is so large that four crates serve it.
//!
//! Patterns of REST operations bind members in one text:
//!
//! ```text
//! /jobs/{jobId}/cancel?force:bool
//! /jobs?status&maxResults:int&tagKeys:list
//! /things/{thingName}/principals?@x-amzn-principal=principal
//! /topics/{topic+}?qos:int
//! ```
//!
//! `{name+}` takes the rest of the path, slashes included; `@header=member` binds
//! a header. What is not listed is ignored, as AWS does.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value};

use crate::{BoxFuture, Call, Commit, Fault, Reply};

/// A service of the local cloud.
pub trait Service: Send + Sync + 'static {
    /// The names in a request's signature scope under which it is called; the
    /// first is its own.
    fn scopes(&self) -> &'static [&'static str];

    /// The wire formats that it speaks.
    fn protocols(&self) -> &'static [Protocol];

    /// Its operations.
    fn operations(self: Arc<Self>) -> Vec<Operation>;

    /// The code of its error for an input that has not the shape of the operation.
    fn invalid_input(&self) -> &'static str {
        "ValidationException"
    }

    /// The members of a form under the names that its operations read. Most
    /// services have the same names in all formats; those that were spoken to in
    /// query first and in JSON later have not.
    fn read_form(&self, members: Map<String, Value>) -> Map<String, Value> {
        members
    }

    /// The members of an answer under the names that its XML had: the other way
    /// of [`Service::read_form`].
    fn show_xml(&self, _operation: &str, members: Value) -> Value {
        members
    }

    /// Operations that AWS offers and this service refuses on purpose, with the
    /// reason, for the coverage list.
    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Method and path choose the operation; members are JSON.
    RestJson,
    /// `X-Amz-Target: <prefix>.<operation>`; members are JSON.
    AwsJson {
        /// `1.0` or `1.1`.
        version: &'static str,
        /// What stands before the operation in `X-Amz-Target`.
        target: &'static str,
    },
    /// `POST /service/<service>/operation/<operation>`; members are CBOR.
    Cbor {
        /// What stands behind `/service/`.
        service: &'static str,
    },
    /// `Action=<operation>` in a form; answers are XML.
    Query {
        /// The namespace of the answers.
        namespace: &'static str,
    },
}

/// One operation.
#[derive(Clone)]
pub struct Operation {
    /// AWS's name of it.
    pub name: &'static str,
    /// Method and pattern, for REST.
    pub rest: Option<(Method, &'static str)>,
    /// Whether the body is bytes and no members.
    pub raw: bool,
    /// What it does.
    pub handler: Handler,
}

/// What an operation does.
pub type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync>;

/// Builds the table of a service:
/// `Operations::of(self).rest("DescribeJob", Method::GET, "/jobs/{jobId}", Self::describe).list()`.
pub struct Operations<S> {
    service: Arc<S>,
    list: Vec<Operation>,
}

/// An operation that method and path would choose and that is refused: its name, where it
/// is asked for, and why.
pub type Refused = (&'static str, Method, &'static str, &'static str);

/// The names of refused operations with their reasons, as [`Service::refused`] gives them.
pub fn reasons(refused: &[Refused]) -> Vec<(&'static str, &'static str)> {
    refused.iter().map(|(name, _, _, reason)| (*name, *reason)).collect()
}

impl<S: Send + Sync + 'static> Operations<S> {
    /// An empty table.
    pub fn of(service: Arc<S>) -> Self {
        Operations { service, list: Vec::new() }
    }

    /// An operation that method and path choose.
    #[must_use]
    pub fn rest(
        mut self,
        name: &'static str,
        method: Method,
        pattern: &'static str,
        run: impl Fn(&S, Call) -> Result<Reply, Fault> + Send + Sync + 'static,
    ) -> Self {
        let handler = self.immediate(run);
        self.list.push(Operation { name, rest: Some((method, pattern)), raw: false, handler });
        self
    }

    /// Routes for operations that are refused, only so that the refusal can name them.
    #[must_use]
    pub fn refusing(self, scope: &'static str, refused: &'static [Refused]) -> Self {
        refused.iter().fold(self, |table, (name, method, pattern, reason)| {
            table.rest(name, method.clone(), pattern, move |_, _| {
                Err(Fault::not_implemented(format_args!("{scope}:{name}: {reason}")))
            })
        })
    }

    /// An operation that method and path choose and that waits for something.
    #[must_use]
    pub fn rest_async<F>(
        mut self,
        name: &'static str,
        method: Method,
        pattern: &'static str,
        run: impl Fn(Arc<S>, Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        let handler = self.waiting(run);
        self.list.push(Operation { name, rest: Some((method, pattern)), raw: false, handler });
        self
    }

    /// An operation that its name chooses (AWS-JSON and query).
    #[must_use]
    pub fn named(
        mut self,
        name: &'static str,
        run: impl Fn(&S, Call) -> Result<Reply, Fault> + Send + Sync + 'static,
    ) -> Self {
        let handler = self.immediate(run);
        self.list.push(Operation { name, rest: None, raw: false, handler });
        self
    }

    /// An operation that its name chooses and that waits for something.
    #[must_use]
    pub fn named_async<F>(
        mut self,
        name: &'static str,
        run: impl Fn(Arc<S>, Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        let handler = self.waiting(run);
        self.list.push(Operation { name, rest: None, raw: false, handler });
        self
    }

    /// An operation that method and path choose and that changes state: it is
    /// answered when its change is stored.
    #[must_use]
    pub fn rest_stored(
        mut self,
        name: &'static str,
        method: Method,
        pattern: &'static str,
        run: impl Fn(&S, Call) -> Result<(Reply, Commit), Fault> + Send + Sync + 'static,
    ) -> Self {
        let handler = self.storing(run);
        self.list.push(Operation { name, rest: Some((method, pattern)), raw: false, handler });
        self
    }

    /// An operation that its name chooses and that changes state: it is answered
    /// when its change is stored.
    #[must_use]
    pub fn named_stored(
        mut self,
        name: &'static str,
        run: impl Fn(&S, Call) -> Result<(Reply, Commit), Fault> + Send + Sync + 'static,
    ) -> Self {
        let handler = self.storing(run);
        self.list.push(Operation { name, rest: None, raw: false, handler });
        self
    }

    /// Says that the body of the last operation is bytes and no members.
    #[must_use]
    pub fn raw(mut self) -> Self {
        if let Some(last) = self.list.last_mut() {
            last.raw = true;
        }
        self
    }

    /// Has every call of the operations so far judged before they run.
    #[must_use]
    pub fn judged(mut self, judge: fn(&Call) -> Result<(), Fault>) -> Self {
        for operation in &mut self.list {
            let run = operation.handler.clone();
            operation.handler = Arc::new(move |call| match judge(&call) {
                Ok(()) => run(call),
                Err(fault) => Box::pin(std::future::ready(Err(fault))),
            });
        }
        self
    }

    /// The table.
    pub fn list(self) -> Vec<Operation> {
        self.list
    }

    fn immediate(
        &self,
        run: impl Fn(&S, Call) -> Result<Reply, Fault> + Send + Sync + 'static,
    ) -> Handler {
        let service = self.service.clone();
        Arc::new(move |call| {
            let answer = run(&service, call);
            Box::pin(std::future::ready(answer))
        })
    }

    fn storing(
        &self,
        run: impl Fn(&S, Call) -> Result<(Reply, Commit), Fault> + Send + Sync + 'static,
    ) -> Handler {
        let service = self.service.clone();
        Arc::new(move |call| {
            let answer = run(&service, call);
            Box::pin(async move {
                let (reply, commit) = answer?;
                commit.stored().await?;
                Ok(reply)
            })
        })
    }

    fn waiting<F>(&self, run: impl Fn(Arc<S>, Call) -> F + Send + Sync + 'static) -> Handler
    where
        F: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        let service = self.service.clone();
        Arc::new(move |call| Box::pin(run(service.clone(), call)))
    }
}
