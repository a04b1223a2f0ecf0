//! A broker and a Jobs service for one or a few things, scripted to misbehave.
//!
//! Strict where a device could be wrong: an illegal transition, a wrong version or a
//! second end of one execution is refused, and what devices did is written down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use iotstack_mqtt::client::Address;
use iotstack_mqtt::tls::{ClientGate, Identity, ServerConfig, ServerSettings, TlsAcceptor};
use iotstack_mqtt::wire::{
    Ack, ConnAck, LARGEST_PACKET, Packet, PacketId, Publish, Reader, ReasonCode, SubAck, Version,
    Writer,
};
use iotstack_sim::{
    Claiming, DevicePlan, DeviceRecord, Fault, Fleet, KeyOrigin, KeyPair, Pace, Profile, Recipe,
    Signer, Silence, Target, digest,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    IsCa, KeyPair as Generated,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::web::Web;

/// One execution of a job on one thing.
#[derive(Clone)]
pub struct Execution {
    pub thing: String,
    pub job: String,
    pub number: i64,
    pub status: String,
    pub version: i64,
    pub document: Value,
    pub details: Value,
    url: Presign,
}

/// Makes a URL of the image that works now.
type Presign = Arc<dyn Fn() -> String + Send + Sync>;

/// What the cloud does wrong.
#[derive(Debug, Clone, Default)]
pub struct Mischief {
    /// Packets that are not sent: name and how many.
    pub withheld: BTreeMap<&'static str, u32>,
    /// Connections that are refused with this code.
    pub refuses: u32,
    /// Connections that are closed right after CONNACK.
    pub closes: u32,
    /// Updates that are rejected with a code.
    pub rejects_updates: Vec<&'static str>,
    /// Each message is sent twice, the second time under another packet id.
    pub repeats: bool,
    /// Registrations that are refused.
    pub refuses_claims: u32,
    /// Certificate signing requests are not answered.
    pub ignores_requests: bool,
    /// Sessions are forgotten, whatever the client asks for.
    pub forgets_sessions: bool,
    /// Updates with a final status that are done, and whose answer is lost.
    pub loses_answers: u32,
    /// No policy is looked at: every certificate may do everything under every name.
    pub has_no_policy: bool,
    /// Subscriptions that no policy allows are granted.
    pub grants_filters: bool,
    /// Two clients with one name are served.
    pub serves_twins: bool,
}

#[derive(Default)]
struct State {
    executions: Vec<Execution>,
    clients: BTreeMap<String, (u64, mpsc::UnboundedSender<Out>)>,
    connections: u64,
    mischief: Mischief,
    connects: Vec<std::time::Instant>,
    messages: Vec<(String, Value)>,
    wishes: BTreeMap<String, Value>,
    tokens: BTreeMap<String, String>,
    image: Bytes,
    /// What waits for clients whose session is kept.
    sessions: BTreeMap<String, Vec<Packet>>,
    subscribes: u32,
    /// Client id, and whether the session is a clean one.
    greetings: Vec<(String, bool)>,
    filters: Vec<String>,
    /// Topics that nobody may publish to.
    refused: Vec<String>,
    /// The packet ids of messages to devices: sent, and acknowledged.
    sent: Vec<PacketId>,
    acknowledged: Vec<PacketId>,
}

enum Out {
    Packet(Box<Packet>),
    Close,
}

/// The cloud.
pub struct Cloud {
    pub web: Web,
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    signer: Signer,
    authority: Option<Authority>,
}

#[derive(Clone)]
struct Authority {
    issuer: Arc<CertifiedIssuer<'static, Generated>>,
    claim: KeyPair,
}

#[derive(Debug)]
pub struct Everybody;

impl ClientGate for Everybody {
    fn admit(&self, _: &[u8], _: &[&[u8]]) -> bool {
        true
    }
}

impl Cloud {
    /// A cloud without TLS.
    pub async fn start() -> Self {
        Cloud::new(None, None).await
    }

    /// A cloud with mutual TLS, and devices that must claim their certificates. Its
    /// server certificate is for `name`.
    pub async fn with_tls(name: &str) -> Self {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Cloud::with_server(params, |identity| {
            ServerSettings::mutual(identity, Arc::new(Everybody)).build().unwrap()
        })
        .await
    }

    /// A cloud with mutual TLS as it is told.
    pub async fn with_server(
        server: CertificateParams,
        settings: impl FnOnce(Identity) -> Arc<ServerConfig>,
    ) -> Self {
        Cloud::with_server_key(server, Generated::generate().unwrap(), settings).await
    }

    /// The same, with a server that has this key.
    pub async fn with_server_key(
        server: CertificateParams,
        server_key: Generated,
        settings: impl FnOnce(Identity) -> Arc<ServerConfig>,
    ) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, Generated::generate().unwrap()).unwrap();
        let key = Generated::generate().unwrap();
        let claim = CertificateParams::default().signed_by(&key, &issuer).unwrap();
        let claim = KeyPair { certificate: claim.pem(), private_key: key.serialize_pem() };
        let server = server.signed_by(&server_key, &issuer).unwrap();
        let identity = Identity::from_pem(&server.pem(), &server_key.serialize_pem()).unwrap();
        let settings = settings(identity);
        let authority = Authority { issuer: Arc::new(issuer), claim };
        Cloud::new(Some(TlsAcceptor::from(settings)), Some(authority)).await
    }

    /// The images come over HTTPS from now on, from a server whose certificate is for
    /// `name`.
    pub async fn serve_https(&mut self, name: &str) {
        let authority = self.authority.as_ref().unwrap();
        let key = Generated::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let server = params.signed_by(&key, &authority.issuer).unwrap();
        let identity = Identity::from_pem(&server.pem(), &key.serialize_pem()).unwrap();
        let mut settings = ServerSettings::mutual(identity, Arc::new(Everybody));
        settings.clients = None;
        settings.alpn = Vec::new();
        let settings = settings.build().unwrap();
        self.web = Web::start_with(Some(TlsAcceptor::from(settings))).await;
    }

    async fn new(tls: Option<TlsAcceptor>, authority: Option<Authority>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (serving, issuing) = (state.clone(), authority.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls, authority) = (serving.clone(), tls.clone(), issuing.clone());
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    match tls {
                        None => serve(stream, state, authority).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            serve(stream, state, authority).await;
                        }
                    }
                });
            }
        });
        let signer = Signer::generate("signer.pem").unwrap();
        Cloud { web: Web::start().await, address, state, signer, authority }
    }

    pub fn target(&self) -> Target {
        let broker = Address { host: "127.0.0.1".to_owned(), port: self.address.port() };
        let signers = [("signer.pem".to_owned(), self.signer.certificate().to_owned())];
        let mut target = Target {
            allows_plain_downloads: true,
            signers: signers.into(),
            pace: pace(),
            ..Target::new(broker, "fleet")
        };
        if let Some(authority) = &self.authority {
            target.authority = Some(authority.issuer.pem());
            target.server_name = Some("localhost".to_owned());
            target.claim = Some(Claiming {
                claim: authority.claim.clone(),
                template: "fleet".to_owned(),
                serial_parameter: "SerialNumber".to_owned(),
                parameters: BTreeMap::new(),
                key: KeyOrigin::Device,
            });
        }
        target
    }

    pub fn misbehave(&self, mischief: Mischief) {
        self.lock().mischief = mischief;
    }

    /// A document that installs an image, which the web server has from now on.
    pub fn document(&self, recipe: &Recipe) -> Value {
        self.document_of(recipe.make().unwrap(), &recipe.version)
    }

    pub fn document_of(&self, image: Bytes, version: &str) -> Value {
        self.web.serve(image.clone());
        self.lock().image = image.clone();
        let sha256 = digest(&image);
        let claim = self.signer.sign(&sha256);
        json!({"version": "1.0", "operation": "firmware_update", "firmware": {
            "version": version, "url": "URL", "size": image.len(), "sha256": sha256.to_string(),
            "signature": {"algorithm": claim.algorithm, "value": claim.value,
                          "certificate": claim.certificate}}})
    }

    /// The document of an update over an MQTT stream.
    pub fn stream_document(&self, recipe: &Recipe) -> Value {
        let image = recipe.make().unwrap();
        self.lock().image = image.clone();
        let claim = self.signer.sign(&digest(&image));
        json!({"afr_ota": {"protocols": ["MQTT"], "streamname": "S", "files": [{
            "filepath": "/fw", "filesize": image.len(), "fileid": 0, "certfile": "signer.pem",
            "sig-sha256-ecdsa": claim.value}]}})
    }

    /// Queues a job for a thing, and tells it.
    pub fn queue(&self, thing: &str, job: &str, document: Value) {
        self.queue_silently(thing, job, document);
        notify(&mut self.lock(), thing);
    }

    /// Queues a job for a thing, and the notification is lost.
    pub fn queue_silently(&self, thing: &str, job: &str, document: Value) {
        let mut state = self.lock();
        let number =
            1 + state.executions.iter().filter(|e| e.thing == thing && e.job == job).count();
        state.executions.push(Execution {
            thing: thing.to_owned(),
            job: job.to_owned(),
            number: number as i64,
            status: "QUEUED".to_owned(),
            version: 1,
            document,
            details: Value::Null,
            url: self.web.presign(),
        });
    }

    /// Ends an execution by force, as a cancelled job or a timer would.
    pub fn end(&self, thing: &str, job: &str, status: &str) {
        let mut state = self.lock();
        let found = state.executions.iter_mut().rev().find(|e| e.thing == thing && e.job == job);
        let execution = found.unwrap();
        assert!(!is_terminal(&execution.status), "{job} has ended");
        execution.status = status.to_owned();
        execution.version += 1;
        notify(&mut state, thing);
    }

    /// How executions stand: status and reason.
    pub fn executions(&self) -> Vec<(String, String, String)> {
        let state = self.lock();
        let reason = |e: &Execution| e.details["reason"].as_str().unwrap_or_default().to_owned();
        state.executions.iter().map(|e| (e.job.clone(), e.status.clone(), reason(e))).collect()
    }

    /// Every message of a device: topic and body.
    pub fn messages(&self) -> Vec<(String, Value)> {
        self.lock().messages.clone()
    }

    /// How often devices have subscribed.
    pub fn subscribes(&self) -> u32 {
        self.lock().subscribes
    }

    /// Who has connected: client id, and whether the session was a clean one.
    pub fn greetings(&self) -> Vec<(String, bool)> {
        self.lock().greetings.clone()
    }

    /// What devices have subscribed to.
    pub fn filters(&self) -> Vec<String> {
        self.lock().filters.clone()
    }

    /// The topics of messages that the policy refused.
    pub fn refused(&self) -> Vec<String> {
        self.lock().refused.clone()
    }

    /// How many messages to devices were sent, and how many of them acknowledged.
    pub fn acknowledged(&self) -> (usize, usize) {
        let state = self.lock();
        let is_known = |id: &&PacketId| state.acknowledged.contains(id);
        (state.sent.len(), state.sent.iter().filter(is_known).count())
    }

    /// When devices have connected.
    pub fn connects(&self) -> Vec<std::time::Instant> {
        self.lock().connects.clone()
    }

    /// Sends a message to a client, whatever it is.
    pub fn say(&self, client: &str, topic: &str, body: &Value) {
        let mut state = self.lock();
        send(&mut state, client, topic, body);
    }

    /// What the shadow of a thing is to become, told at its next report.
    pub fn wish(&self, thing: &str, wish: Value) {
        self.lock().wishes.insert(thing.to_owned(), wish);
    }

    /// Cuts the connection of a client.
    pub fn kick(&self, client: &str) {
        let state = self.lock();
        if let Some((_, out)) = state.clients.get(client) {
            let _ = out.send(Out::Close);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// One device with this fault, running.
    pub fn device(&self, profile: Profile, fault: Option<Fault>) -> Fleet {
        self.device_in(profile, fault, self.target())
    }

    pub fn device_in(&self, profile: Profile, fault: Option<Fault>, target: Target) -> Fleet {
        let plan = [DevicePlan { serial: "1".to_owned(), profile: Arc::new(profile), fault }];
        Fleet::start(&plan, 0..1, target, 7, Arc::new(Silence)).unwrap()
    }

    /// Lets one device do one job, and says how it went.
    pub async fn update(&self, fault: Option<Fault>, document: Value) -> DeviceRecord {
        let fleet = self.device(lamp(), fault);
        assert!(fleet.wait(LONG, |counts| counts.ready == 1).await, "never ready");
        self.queue(THING, "job-1", document);
        self.until(|executions| executions.iter().all(|(_, status, _)| is_terminal(status))).await;
        // The device must know that the cloud knows.
        let ended =
            |c: &iotstack_sim::Counts| c.succeeded + c.failed + c.rejected + c.abandoned > 0;
        assert!(fleet.wait(LONG, ended).await, "the device does not know");
        fleet.stop().await.devices.remove(0)
    }

    /// Waits until executions are as wanted.
    pub async fn until(&self, wanted: impl Fn(&[(String, String, String)]) -> bool) {
        let end = tokio::time::Instant::now() + LONG;
        while !wanted(&self.executions()) {
            assert!(tokio::time::Instant::now() < end, "never: {:?}", self.executions());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The thing of the device that most tests have.
pub const THING: &str = "fleet-1";

/// How long a test waits at most.
pub const LONG: Duration = Duration::from_secs(30);

/// Everything fast.
pub fn pace() -> Pace {
    Pace {
        // Long enough for a machine that does much else meanwhile.
        patience: Duration::from_millis(1500),
        backoff: Duration::from_millis(20),
        longest_backoff: Duration::from_millis(200),
        self_test: Duration::from_secs(4),
        reset: Duration::from_millis(2),
        watchdog: Duration::from_millis(5),
        stall: Duration::from_millis(300),
        minimum_rate: 64,
        download: Duration::from_secs(10),
        poll: Duration::from_secs(3),
        away: Duration::from_millis(400),
        ..Pace::local()
    }
}

pub fn lamp() -> Profile {
    Profile { model: "lamp".to_owned(), slot_size: 256 * 1024, ..Profile::default() }
}

pub fn image(version: &str) -> Recipe {
    Recipe { model: Some("lamp".to_owned()), ..Recipe::new(version, 20_000) }
}

pub fn is_terminal(status: &str) -> bool {
    !matches!(status, "QUEUED" | "IN_PROGRESS")
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    state: Arc<Mutex<State>>,
    authority: Option<Authority>,
) {
    let mut reader = Reader::new();
    let mut writer = Writer::new();
    let Ok(Some(Packet::Connect(connect))) =
        reader.read(&mut stream, Version::V311, LARGEST_PACKET).await
    else {
        return;
    };
    let client = connect.client_id.to_string();
    let (out, mut to_send) = mpsc::unbounded_channel();
    let (number, refuses, closes, kept) = {
        let mut state = state.lock().unwrap();
        state.connects.push(std::time::Instant::now());
        state.greetings.push((client.clone(), connect.clean_start));
        state.connections += 1;
        let number = state.connections;
        let serves_twins = state.mischief.serves_twins;
        if let Some((_, old)) = state.clients.insert(client.clone(), (number, out.clone()))
            && !serves_twins
        {
            let _ = old.send(Out::Close);
        }
        let is_stranger = client.ends_with("-stranger") && !state.mischief.has_no_policy;
        let refuses = take(&mut state.mischief.refuses) || is_stranger;
        let closes = !refuses && take(&mut state.mischief.closes);
        let mut kept = None;
        if state.mischief.forgets_sessions || connect.clean_start {
            state.sessions.remove(&client);
        } else {
            kept = state.sessions.insert(client.clone(), Vec::new());
        }
        (number, refuses, closes, kept)
    };
    let code = if refuses { ReasonCode::NOT_AUTHORIZED } else { ReasonCode::SUCCESS };
    let _ = out
        .send(Out::Packet(Box::new(Packet::ConnAck(Box::new(ConnAck::new(code, kept.is_some()))))));
    for packet in kept.into_iter().flatten() {
        let _ = out.send(Out::Packet(Box::new(packet)));
    }
    if closes || refuses {
        let _ = out.send(Out::Close);
    }
    loop {
        tokio::select! {
            read = reader.read(&mut stream, Version::V311, LARGEST_PACKET) => {
                let Ok(Some(packet)) = read else { break };
                if matches!(packet, Packet::Disconnect(_)) {
                    break;
                }
                hear(packet, &client, &state, &out, authority.as_ref());
            }
            packet = to_send.recv() => {
                let Some(Out::Packet(packet)) = packet else { break };
                let is_withheld = {
                    let mut state = state.lock().unwrap();
                    state.mischief.withheld.get_mut(packet.name()).is_some_and(take)
                };
                if is_withheld {
                    continue;
                }
                if writer.write(&mut stream, &packet, Version::V311, LARGEST_PACKET).await.is_err() {
                    break;
                }
            }
        }
    }
    let mut state = state.lock().unwrap();
    if state.clients.get(&client).is_some_and(|(found, _)| *found == number) {
        state.clients.remove(&client);
    }
}

fn hear(
    packet: Packet,
    client: &str,
    state: &Arc<Mutex<State>>,
    out: &mpsc::UnboundedSender<Out>,
    authority: Option<&Authority>,
) {
    let say = |packet| {
        let _ = out.send(Out::Packet(Box::new(packet)));
    };
    match packet {
        Packet::Subscribe(ask) => {
            assert!(ask.filters.len() <= 8, "AWS IoT takes 8 filters at a time");
            let mut state = state.lock().unwrap();
            state.subscribes += 1;
            let filters: Vec<String> =
                ask.filters.iter().map(|wanted| wanted.filter.to_string()).collect();
            let reason = |filter: &String| match may_use(client, filter) {
                false if !state.mischief.has_no_policy && !state.mischief.grants_filters => {
                    ReasonCode::UNSPECIFIED_ERROR
                }
                _ => ReasonCode::GRANTED_QOS_1,
            };
            let reasons = filters.iter().map(reason).collect();
            state.filters.extend(filters);
            say(Packet::SubAck(SubAck { packet_id: ask.packet_id, reasons, properties: None }));
        }
        Packet::PingReq => say(Packet::PingResp),
        Packet::PubAck(ack) => state.lock().unwrap().acknowledged.push(ack.packet_id),
        Packet::Publish(message)
            if !may_use(client, &message.topic)
                && !state.lock().unwrap().mischief.has_no_policy =>
        {
            state.lock().unwrap().refused.push(message.topic.to_string());
            let _ = out.send(Out::Close);
        }
        Packet::Publish(message) => {
            if let Some(id) = message.packet_id {
                say(Packet::PubAck(Ack::success(id)));
            }
            let body = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
            let mut state = state.lock().unwrap();
            state.messages.push((message.topic.to_string(), body.clone()));
            request(&mut state, client, &message.topic, &body, authority);
        }
        _ => {}
    }
}

fn request(
    state: &mut State,
    client: &str,
    topic: &str,
    body: &Value,
    authority: Option<&Authority>,
) {
    if let Some(rest) = topic.strip_prefix(&format!("$aws/things/{client}/jobs/")) {
        let rest = rest.to_owned();
        return jobs(state, client, topic, &rest, body);
    }
    if topic == format!("$aws/things/{client}/shadow/update") {
        let wish = match body["state"].get("desired") {
            Some(wish) => Some(wish.clone()),
            None => state.wishes.remove(client),
        };
        if let Some(wish) = wish {
            let topic = format!("$aws/things/{client}/shadow/update/delta");
            send(state, client, &topic, &json!({"version": 1, "state": wish}));
        }
        return;
    }
    if topic == format!("$aws/things/{client}/streams/S/get/json") {
        return stream(state, client, body);
    }
    let Some(authority) = authority else { return };
    if topic == "$aws/certificates/create/json" {
        let key = Generated::generate().unwrap();
        let certificate = CertificateParams::default().signed_by(&key, &authority.issuer).unwrap();
        let token = format!("token-{}", state.messages.len());
        state.tokens.insert(token.clone(), client.to_owned());
        let answer = json!({"certificateId": "id", "certificatePem": certificate.pem(),
                            "privateKey": key.serialize_pem(),
                            "certificateOwnershipToken": token});
        return send(state, client, &format!("{topic}/accepted"), &answer);
    }
    if topic == "$aws/certificates/create-from-csr/json" {
        if state.mischief.ignores_requests {
            return;
        }
        let csr = body["certificateSigningRequest"].as_str().unwrap();
        let csr = CertificateSigningRequestParams::from_pem(csr).unwrap();
        let certificate = csr.signed_by(&authority.issuer).unwrap();
        let token = format!("token-{}", state.messages.len());
        state.tokens.insert(token.clone(), client.to_owned());
        let answer = json!({"certificateId": "id", "certificatePem": certificate.pem(),
                            "certificateOwnershipToken": token});
        return send(state, client, &format!("{topic}/accepted"), &answer);
    }
    if topic == "$aws/provisioning-templates/fleet/provision/json" {
        let token = body["certificateOwnershipToken"].as_str().unwrap();
        let is_known = state.tokens.remove(token).is_some();
        if !is_known || take(&mut state.mischief.refuses_claims) {
            let answer = json!({"statusCode": 403, "errorCode": "AccessDenied",
                                "errorMessage": "the hook says no"});
            return send(state, client, &format!("{topic}/rejected"), &answer);
        }
        let serial = body["parameters"]["SerialNumber"].as_str().unwrap();
        let answer = json!({"deviceConfiguration": {}, "thingName": format!("fleet-{serial}")});
        send(state, client, &format!("{topic}/accepted"), &answer);
    }
}

fn jobs(state: &mut State, thing: &str, topic: &str, rest: &str, body: &Value) {
    let token = body["clientToken"].clone();
    let reject = |state: &mut State, code: &str| {
        let answer = json!({"code": code, "message": "no", "clientToken": token});
        send(state, thing, &format!("{topic}/rejected"), &answer);
    };
    let accepted = format!("{topic}/accepted");
    if rest == "start-next" {
        let at = head(state, thing);
        if let Some(at) = at
            && state.executions[at].status == "QUEUED"
        {
            state.executions[at].status = "IN_PROGRESS".to_owned();
            state.executions[at].version += 1;
        }
        let mut answer = json!({"timestamp": 1, "clientToken": token});
        if let Some(at) = at {
            answer["execution"] = shown(&state.executions[at], true);
        }
        return send(state, thing, &accepted, &answer);
    }
    if rest == "get" {
        let with = |status: &str| -> Vec<Value> {
            let those = state.executions.iter().filter(|e| e.thing == thing && e.status == status);
            those.map(|e| json!({"jobId": e.job, "executionNumber": e.number})).collect()
        };
        let answer = json!({"queuedJobs": with("QUEUED"), "inProgressJobs": with("IN_PROGRESS"),
                            "clientToken": token});
        return send(state, thing, &accepted, &answer);
    }
    let Some((job, verb)) = rest.rsplit_once('/') else { return };
    let at = state.executions.iter().rposition(|e| e.thing == thing && e.job == job);
    let Some(at) = at else { return reject(state, "ResourceNotFound") };
    if verb == "get" {
        let number = body["executionNumber"].as_i64();
        if number.is_some_and(|number| number != state.executions[at].number) {
            return reject(state, "TerminalStateReached");
        }
        if is_terminal(&state.executions[at].status) {
            return reject(state, "TerminalStateReached");
        }
        let with_document = body["includeJobDocument"].as_bool().unwrap_or(true);
        let shown = shown(&state.executions[at], with_document);
        return send(state, thing, &accepted, &json!({"execution": shown, "clientToken": token}));
    }
    if let Some(code) = state.mischief.rejects_updates.pop() {
        return reject(state, code);
    }
    let execution = &mut state.executions[at];
    if is_terminal(&execution.status) {
        return reject(state, "InvalidStateTransition");
    }
    if body["expectedVersion"].as_i64().is_some_and(|expected| expected != execution.version) {
        return reject(state, "VersionMismatch");
    }
    let status = body["status"].as_str().unwrap();
    assert!(["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"].contains(&status), "{status}");
    execution.status = status.to_owned();
    execution.version += 1;
    execution.details = body["statusDetails"].clone();
    let is_lost = is_terminal(status) && take(&mut state.mischief.loses_answers);
    if !is_lost {
        send(state, thing, &accepted, &json!({"timestamp": 1, "clientToken": token}));
    }
    if is_terminal(status) {
        notify(state, thing);
    }
}

fn stream(state: &mut State, client: &str, body: &Value) {
    use base64::Engine;
    let number = |name: &str| body[name].as_u64().unwrap() as usize;
    let (size, first, count) = (number("l"), number("o"), number("n"));
    let image = state.image.clone();
    for block in first..first + count {
        let bytes = &image[(block * size).min(image.len())..((block + 1) * size).min(image.len())];
        let payload = base64::engine::general_purpose::STANDARD.encode(bytes);
        let answer = json!({"f": 0, "i": block, "l": bytes.len(), "p": payload});
        send(state, client, &format!("$aws/things/{client}/streams/S/data/json"), &answer);
    }
}

/// The execution that is next on a thing.
fn head(state: &State, thing: &str) -> Option<usize> {
    let with =
        |status: &str| state.executions.iter().position(|e| e.thing == thing && e.status == status);
    with("IN_PROGRESS").or_else(|| with("QUEUED"))
}

fn notify(state: &mut State, thing: &str) {
    let mut body = json!({"timestamp": 1});
    if let Some(at) = head(state, thing) {
        body["execution"] = shown(&state.executions[at], true);
    }
    send(state, thing, &format!("$aws/things/{thing}/jobs/notify-next"), &body);
}

fn shown(execution: &Execution, with_document: bool) -> Value {
    let mut shown = json!({
        "jobId": execution.job, "thingName": execution.thing, "status": execution.status,
        "queuedAt": 1, "lastUpdatedAt": 1, "versionNumber": execution.version,
        "executionNumber": execution.number,
    });
    if with_document {
        // Presigned when somebody asks for it, as AWS IoT does.
        let url = (execution.url)();
        let text = execution.document.to_string().replace("\"URL\"", &format!("\"{url}\""));
        shown["jobDocument"] = serde_json::from_str(&text).unwrap();
    }
    shown
}

fn send(state: &mut State, client: &str, topic: &str, body: &Value) {
    static ID: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);
    let times = if state.mischief.repeats { 2 } else { 1 };
    for _ in 0..times {
        let id = ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 60_000 + 1;
        let id = PacketId::new(id).unwrap();
        let message = Publish::new(topic.to_owned(), body.to_string()).at_least_once(id);
        let packet = Packet::Publish(message);
        match (state.clients.get(client), state.sessions.get_mut(client)) {
            (Some((_, out)), _) => {
                let _ = out.send(Out::Packet(Box::new(packet)));
                state.sent.push(id);
            }
            (None, Some(waiting)) => waiting.push(packet),
            (None, None) => {}
        }
    }
}

/// Whether a certificate that is attached to this thing may use a filter or a topic.
fn may_use(thing: &str, filter: &str) -> bool {
    match filter.strip_prefix("$aws/things/") {
        Some(rest) => rest.strip_prefix(thing).is_some_and(|rest| rest.starts_with('/')),
        None => filter != "#",
    }
}

fn take(count: &mut u32) -> bool {
    let is_left = *count > 0;
    *count = count.saturating_sub(1);
    is_left
}
