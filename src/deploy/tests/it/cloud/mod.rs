//! A CloudFormation of the test's own, behind the SDK's HTTP client.
//!
//! No socket is opened: the double answers in the place of the connector, so the real
//! SDK builds, signs and reads every message. It keeps stacks, change sets and events
//! as the service does, moves a running operation on by one event whenever somebody
//! looks, gives events in pages of three, and refuses what the service refuses. It knows
//! nothing of resources but their names: `Bad…` fails to be made, `Sticky…` fails to be
//! deleted.

mod stacks;
mod wire;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use iotstack_deploy::{Pace, Session};
use tokio::sync::Notify;

pub use stacks::Stacks;
use wire::Answer;

pub const ACCOUNT: &str = "123456789012";

/// The double; clones are the same cloud.
#[derive(Debug, Clone, Default)]
pub struct Cloud(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    stalled: Notify,
}

#[derive(Debug, Default)]
pub struct State {
    pub stacks: Stacks,
    /// Every action, in order.
    pub calls: Vec<String>,
    /// Objects of buckets, as `bucket/key`.
    pub objects: BTreeSet<String>,
    pub buckets: BTreeSet<String>,
    /// Roles that may be assumed.
    pub roles: BTreeSet<String>,
    /// What an action answers instead, how often, with code and message.
    pub refusals: Vec<(String, usize, String, String)>,
    /// The call that never comes back, and whether it takes effect before.
    stall: Option<(usize, bool)>,
}

impl Cloud {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// A session with good credentials.
    pub fn session(&self) -> Session {
        let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            // Signatures carry a moment; it is always the same one.
            .time_source(StaticTimeSource::from_secs(1_800_000_000))
            .sleep_impl(TokioSleep::new())
            .http_client(self.clone())
            .build();
        Session::new(config, Pace::INSTANT)
    }

    /// Makes `action` answer with an error, `times` times.
    pub fn refuse(&self, action: &str, times: usize, code: &str, message: &str) {
        let refusal = (action.to_owned(), times, code.to_owned(), message.to_owned());
        self.state().refusals.push(refusal);
    }

    /// Lets the call number `call` never come back.
    pub fn stall(&self, call: usize, takes_effect: bool) {
        self.state().stall = Some((call, takes_effect));
    }

    /// Ends when a call was made that does not come back.
    pub async fn stalled(&self) {
        self.0.stalled.notified().await;
    }

    /// Lets every call come back again.
    pub fn unstall(&self) {
        self.state().stall = None;
    }

    pub fn calls(&self, action: &str) -> usize {
        self.state().calls.iter().filter(|call| *call == action).count()
    }

    fn answer(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let call = wire::Call::read(request);
        let mut state = self.state();
        let number = state.calls.len();
        state.calls.push(call.action.clone());
        let stall = state.stall.filter(|(stalled, _)| *stalled == number);
        if let Some((_, false)) = stall {
            return None;
        }
        let answer = state.answer(&call);
        stall.is_none().then(|| answer.write(&call))
    }
}

impl State {
    fn answer(&mut self, call: &wire::Call) -> Answer {
        let refusal = self.refusals.iter_mut().find(|it| it.0 == call.action && it.1 > 0);
        if let Some((_, times, code, message)) = refusal {
            *times -= 1;
            return Answer::refuse(code, message);
        }
        match call.action.as_str() {
            "GetCallerIdentity" => Answer::ok(format!(
                "<Account>{ACCOUNT}</Account><UserId>U</UserId>\
                 <Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn>"
            )),
            "AssumeRole" => match self.roles.contains(call.get("RoleArn")) {
                true => Answer::ok(
                    "<Credentials><AccessKeyId>AKIAROLE</AccessKeyId><SecretAccessKey>s\
                     </SecretAccessKey><SessionToken>t</SessionToken>\
                     <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>",
                ),
                false => Answer::refuse("AccessDenied", "nobody may assume this role"),
            },
            "HEAD object" => Answer::found(self.objects.contains(call.get("path"))),
            "HEAD bucket" => Answer::found(self.buckets.contains(call.get("path"))),
            "PUT object" => {
                self.objects.insert(call.get("path").to_owned());
                Answer::found(true)
            }
            _ => self.stacks.answer(call),
        }
    }
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.answer(&request) {
            Some(response) => HttpConnectorFuture::ready(Ok(response)),
            None => {
                self.0.stalled.notify_one();
                HttpConnectorFuture::new(std::future::pending())
            }
        }
    }
}

impl HttpClient for Cloud {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
