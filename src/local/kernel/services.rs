//! All operations of all services: finds the one that a request means, calls
//! it, and writes its answer.
//!
//! The signature's scope chooses the services; the wire format and its rules
//! choose the operation. Whether the signature is good is the gateway's affair.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Map, Value};

use crate::wire::{self, Format, pattern::Pattern};
use crate::{Body, Call, Caller, Fault, Operation, Protocol, Reply, Service, Timestamp, id};

/// All operations of all services.
#[derive(Default)]
pub struct Services {
    scopes: RwLock<BTreeMap<&'static str, Vec<Arc<Table>>>>,
}

/// The operations of one service, prepared for look-ups.
struct Table {
    service: Arc<dyn Describe>,
    named: BTreeMap<&'static str, Operation>,
    routes: Vec<(Method, Pattern, Operation)>,
}

/// What is asked of a service after its table was taken.
trait Describe: Send + Sync {
    fn scopes(&self) -> &'static [&'static str];
    fn protocols(&self) -> &'static [Protocol];
    fn invalid_input(&self) -> &'static str;
    fn read_form(&self, members: Map<String, Value>) -> Map<String, Value>;
    fn show_xml(&self, operation: &str, members: Value) -> Value;
    fn refused(&self) -> &'static [(&'static str, &'static str)];
}

impl<S: Service> Describe for S {
    fn scopes(&self) -> &'static [&'static str] {
        Service::scopes(self)
    }
    fn protocols(&self) -> &'static [Protocol] {
        Service::protocols(self)
    }
    fn invalid_input(&self) -> &'static str {
        Service::invalid_input(self)
    }
    fn read_form(&self, members: Map<String, Value>) -> Map<String, Value> {
        Service::read_form(self, members)
    }
    fn show_xml(&self, operation: &str, members: Value) -> Value {
        Service::show_xml(self, operation, members)
    }
    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        Service::refused(self)
    }
}

/// One line of the coverage list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The signature scope.
    pub scope: &'static str,
    /// The operations that work.
    pub operations: Vec<&'static str>,
    /// The operations that are refused on purpose, with the reason.
    pub refused: Vec<(&'static str, &'static str)>,
}

impl Services {
    /// Adds a service with its operations.
    pub fn add<S: Service>(&self, service: Arc<S>) {
        let operations = service.clone().operations();
        let routes = operations
            .iter()
            .filter_map(|operation| {
                let (method, pattern) = operation.rest.clone()?;
                Some((method, Pattern::parse(pattern), operation.clone()))
            })
            .collect();
        let named = operations.into_iter().map(|operation| (operation.name, operation)).collect();
        let scopes = Service::scopes(&*service);
        let table = Arc::new(Table { service, named, routes });
        let mut all = self.scopes.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for scope in scopes {
            all.entry(scope).or_default().push(table.clone());
        }
    }

    /// Whether any service is called under `scope`.
    pub fn serves(&self, scope: &str) -> bool {
        self.scopes.read().unwrap_or_else(|poisoned| poisoned.into_inner()).contains_key(scope)
    }

    /// What is offered, by the first scope of each service.
    pub fn coverage(&self) -> Vec<Coverage> {
        let all = self.scopes.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut found: BTreeMap<&'static str, Coverage> = BTreeMap::new();
        for (scope, tables) in all.iter() {
            for table in tables.iter().filter(|table| table.service.scopes().first() == Some(scope))
            {
                let line = found.entry(scope).or_insert_with(|| Coverage {
                    scope,
                    operations: Vec::new(),
                    refused: Vec::new(),
                });
                // An operation may have a route only to be refused by its name.
                let refused = table.service.refused();
                let works = |name: &&&str| refused.iter().all(|(other, _)| other != *name);
                line.operations.extend(table.named.keys().filter(works));
                line.refused.extend(refused);
                line.operations.sort_unstable();
            }
        }
        found.into_values().collect()
    }

    /// Reads what a request means that was signed for `scope`. Nothing is done yet, so
    /// that permissions can be asked for in between.
    pub fn read(&self, scope: &str, request: &Request<Bytes>) -> Meant {
        Meant(self.find(scope, request))
    }

    /// Answers a request that was signed for `scope` by `caller`.
    pub async fn answer(
        &self,
        scope: &str,
        request: Request<Bytes>,
        caller: Caller,
        at: Timestamp,
    ) -> Response<Bytes> {
        self.read(scope, &request).answer(request, caller, at).await
    }

    /// Calls an operation from inside, without a wire: for the console, for
    /// CloudFormation and for tests.
    ///
    /// # Errors
    /// What the operation refuses; a fault that names it if it does not exist.
    pub async fn call(
        &self,
        scope: &str,
        operation: &str,
        input: Value,
        body: Bytes,
        at: Timestamp,
    ) -> Result<Reply, Fault> {
        let found = {
            let all = self.scopes.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            let tables = all.get(scope).map(Vec::as_slice).unwrap_or_default();
            tables.iter().find_map(|table| {
                table
                    .named
                    .get(operation)
                    .map(|operation| (operation.clone(), table.service.invalid_input()))
            })
        };
        let Some((operation, invalid_input)) = found else {
            return Err(Fault::not_implemented(format!("{scope}:{operation}")));
        };
        let Value::Object(input) = input else {
            return Err(Fault::internal("the input of a call must be an object"));
        };
        let call = Call {
            operation: operation.name,
            input,
            body,
            headers: http::HeaderMap::new(),
            caller: Caller::Root,
            at,
            request_id: id::uuid(),
        };
        (operation.handler)(call).await.map_err(|mut fault| {
            if fault.is_invalid_input() {
                fault.code = invalid_input.to_owned();
            }
            fault
        })
    }

    /// The operation that a request means, and its input.
    fn find(&self, scope: &str, request: &Request<Bytes>) -> Result<Found, (Fault, Format)> {
        let tables = {
            let all = self.scopes.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            all.get(scope).cloned().unwrap_or_default()
        };
        if tables.is_empty() {
            let fault = Fault::not_implemented(format!("the service `{scope}`"));
            // Clients of services that nobody offers must be able to read it, too.
            let format = if wire::query::is_form(request.headers()) {
                Format::Query { namespace: "" }
            } else {
                Format::RestJson
            };
            return Err((fault, format));
        }
        if let Some((name, operation)) = wire::cbor::target(request) {
            return find_cbor(&tables, name, operation, request);
        }
        if let Some(target) =
            request.headers().get("x-amz-target").and_then(|value| value.to_str().ok())
        {
            return find_target(&tables, target, request);
        }
        match wire::query::form(request) {
            Ok(Some(form)) => find_action(&tables, &form),
            Ok(None) => find_route(&tables, request),
            Err(mut fault) => {
                fault.code = tables[0].service.invalid_input().to_owned();
                Err((fault, Format::Query { namespace: "" }))
            }
        }
    }
}

/// What a request means: an operation with its input, or why there is none.
pub struct Meant(Result<Found, (Fault, Format)>);

impl Meant {
    /// The name of the operation, for permissions and logs.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.as_ref().ok().map(|found| found.operation.name)
    }

    /// Does what the request means, and answers it.
    pub async fn answer(
        self,
        request: Request<Bytes>,
        caller: Caller,
        at: Timestamp,
    ) -> Response<Bytes> {
        let request_id = id::uuid();
        let found = match self.0 {
            Ok(found) => found,
            Err((fault, format)) => return wire::write_fault(&fault, &format, &request_id),
        };
        let Found { operation, format, input, invalid_input, writer } = found;
        let outcome = match input {
            Err(fault) => Err(fault),
            Ok(input) => {
                let (parts, body) = request.into_parts();
                let call = Call {
                    operation: operation.name,
                    input,
                    body,
                    headers: parts.headers,
                    caller,
                    at,
                    request_id: request_id.clone(),
                };
                (operation.handler)(call).await
            }
        };
        match outcome {
            Ok(mut reply) => {
                if let (Some(table), Body::Members(members)) = (writer, &mut reply.body) {
                    *members = table.service.show_xml(operation.name, members.take());
                }
                wire::write_reply(reply, &format, operation.name, &request_id)
            }
            Err(mut fault) => {
                if fault.is_invalid_input() {
                    fault.code = invalid_input.to_owned();
                }
                wire::write_fault(&fault, &format, &request_id)
            }
        }
    }
}

struct Found {
    operation: Operation,
    format: Format,
    input: Result<Map<String, Value>, Fault>,
    invalid_input: &'static str,
    /// Whose service names the members of the answer, for XML.
    writer: Option<Arc<Table>>,
}

fn find_cbor(
    tables: &[Arc<Table>],
    wanted: &str,
    name: &str,
    request: &Request<Bytes>,
) -> Result<Found, (Fault, Format)> {
    let speaks =
        |protocol: &Protocol| matches!(protocol, Protocol::Cbor { service } if *service == wanted);
    let mut tables_of_name =
        tables.iter().filter(|table| table.service.protocols().iter().any(speaks));
    let found = tables_of_name.find_map(|table| Some((table, table.named.get(name)?)));
    let Some((table, operation)) = found else {
        return Err((unknown(tables, name), Format::Cbor));
    };
    Ok(Found {
        operation: operation.clone(),
        format: Format::Cbor,
        input: wire::unpacked(request).and_then(|body| wire::cbor::read(&body)),
        invalid_input: table.service.invalid_input(),
        writer: None,
    })
}

fn find_target(
    tables: &[Arc<Table>],
    target: &str,
    request: &Request<Bytes>,
) -> Result<Found, (Fault, Format)> {
    let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
    let mut format = Format::AwsJson { version: "1.0", spoke_query: false };
    for table in tables {
        for protocol in table.service.protocols() {
            let Protocol::AwsJson { version, target } = protocol else { continue };
            if *target != prefix {
                continue;
            }
            let spoke_query = table
                .service
                .protocols()
                .iter()
                .any(|protocol| matches!(protocol, Protocol::Query { .. }));
            format = Format::AwsJson { version, spoke_query };
            if let Some(operation) = table.named.get(name) {
                return Ok(Found {
                    operation: operation.clone(),
                    format,
                    input: wire::unpacked(request).and_then(|body| wire::members(&body)),
                    invalid_input: table.service.invalid_input(),
                    writer: None,
                });
            }
        }
    }
    Err((unknown(tables, name), format))
}

fn find_action(tables: &[Arc<Table>], form: &[(String, String)]) -> Result<Found, (Fault, Format)> {
    let action =
        form.iter().find(|(key, _)| key == "Action").map_or("", |(_, value)| value.as_str());
    let mut format = Format::Query { namespace: "" };
    for table in tables {
        for protocol in table.service.protocols() {
            let Protocol::Query { namespace } = protocol else { continue };
            format = Format::Query { namespace };
            if let Some(operation) = table.named.get(action) {
                return Ok(Found {
                    operation: operation.clone(),
                    format,
                    input: Ok(table.service.read_form(wire::query::read(form))),
                    invalid_input: table.service.invalid_input(),
                    writer: Some(table.clone()),
                });
            }
        }
    }
    Err((unknown(tables, action), format))
}

fn find_route(tables: &[Arc<Table>], request: &Request<Bytes>) -> Result<Found, (Fault, Format)> {
    let path = request.uri().path();
    let mut best: Option<(&Pattern, &Operation, &Arc<Table>)> = None;
    for table in tables {
        for (method, pattern, operation) in &table.routes {
            let fits = method == request.method() && pattern.fits(path);
            // `/things/{thingName}/jobs/$next` is closer than `…/{jobId}`.
            if fits && best.is_none_or(|(other, ..)| pattern.is_closer_than(other)) {
                best = Some((pattern, operation, table));
            }
        }
    }
    let Some((pattern, operation, table)) = best else {
        let what = format!("`{} {path}` of `{}`", request.method(), tables[0].service.scopes()[0]);
        return Err((Fault::not_implemented(what), Format::RestJson));
    };
    let input = (if operation.raw { Ok(Map::new()) } else { wire::members(request.body()) })
        .and_then(|members| pattern.bind(request, members));
    Ok(Found {
        operation: operation.clone(),
        format: Format::RestJson,
        input,
        invalid_input: table.service.invalid_input(),
        writer: None,
    })
}

fn unknown(tables: &[Arc<Table>], name: &str) -> Fault {
    let scope = tables[0].service.scopes()[0];
    let reason = tables
        .iter()
        .flat_map(|table| table.service.refused())
        .find(|(refused, _)| *refused == name)
        .map(|(_, reason)| format!(": {reason}"))
        .unwrap_or_default();
    Fault::not_implemented(format!("{scope}:{name}{reason}"))
}

impl Body {
    /// How many bytes it is on the wire, roughly; for logs.
    pub fn size(&self) -> usize {
        match self {
            Body::Members(members) => members.to_string().len(),
            Body::Bytes { bytes, .. } => bytes.len(),
        }
    }
}
